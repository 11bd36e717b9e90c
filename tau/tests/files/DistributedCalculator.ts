// Made from Tau by `peerage idl --typescript`: change that file, and make this one again.

export namespace Math {
    export namespace Distributed {
        export type Operation = "Add" | "Subtract" | "Multiply" | "Divide";

        /** One step of a computation. */
        export interface Step {
            operation: Operation;
            /** May be left out; it is `0.0` then. */
            operand?: number;
        }

        export const CalculatorVersion = 2;

        /**
         * A calculator among others.
         *
         * Sums may arrive later than they are asked for.
         */
        export interface Calculator {
            peerCount: number;
            sum(values: number[]): number | Promise<number>;
            addLater(a: Promise<number>, b: Promise<number>): number | Promise<number>;
            reset(): void | Promise<void>;
            run(start: number, steps: Step[]): number | Promise<number>;
            /**
             * `precision` may be left out; it is `6` then.
             * `exact` may be left out; it is `false` then.
             */
            evaluate(
                expression: string,
                precision?: number,
                exact?: boolean,
            ): number | Promise<number>;
            getPeers(): Node[] | Promise<Node[]>;
            getVariables(): Map<string, number> | Promise<Map<string, number>>;
            seeds(): Set<number | bigint> | Promise<Set<number | bigint>>;
        }

        export interface CalculatorEvents {
            progress: { done: number; total: number; message: string };
            finished: { result: number };
        }

        /** One of those that compute. */
        export interface Node {
            readonly name: string;
            compute(type: Operation, operands: number[]): number | Promise<number>;
            owner(): Calculator | Promise<Calculator>;
        }

        export const HistoryCalculatorVersion = 3;

        /** Remembers what was computed. */
        export interface HistoryCalculator extends Calculator {
            readonly length: number;
            getStep(index: number): Step | Promise<Step>;
        }

        export interface HistoryCalculatorEvents extends CalculatorEvents {
            forgotten: { count: number };
        }
    }
}

export interface Desk {
    calculator(): Calc.Calculator | Promise<Calc.Calculator>;
    last: Math.Distributed.Operation;
}

export import Calc = Math.Distributed;
