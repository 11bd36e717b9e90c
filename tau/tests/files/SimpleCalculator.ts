// Made from Tau by `peerage idl --typescript`: change that file, and make this one again.

/** Sums and products. */
export interface Calculator {
    /** The sum of all that was added. */
    total: number;
    /**
     * How many places a display has.
     * It is `12` at first.
     */
    readonly digits: number;
    add(a: number, b: number): number | Promise<number>;
    subtract(a: number, b: number): number | Promise<number>;
    multiply(a: number, b: number): number | Promise<number>;
    divide(a: number, b: number): number | Promise<number>;
    clear(): void | Promise<void>;
}

export interface CalculatorEvents {
    /** A result was too large to be shown. */
    overflow: { at: number };
    cleared: Record<string, never>;
}
