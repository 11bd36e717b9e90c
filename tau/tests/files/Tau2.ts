// Made from Tau by `peerage idl --typescript`: change that file, and make this one again.

export namespace MLB {
    export interface C0 {
        n0: number;
        s0: string;
        v0(): void | Promise<void>;
        v1(a0: number): void | Promise<void>;
        v2(a0: number, a1: number): void | Promise<void>;
        m1(): number | Promise<number>;
        m2(a0: number): number | Promise<number>;
        m3(a0: number, a1: number): number | Promise<number>;
    }
}
