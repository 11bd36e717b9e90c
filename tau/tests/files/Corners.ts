// Made from Tau by `peerage idl --typescript`: change that file, and make this one again.

/** Opened again. */
export namespace type {
    export interface Loop {
        fn: number;
        /** May be left out; it is `0x10` then. */
        impl?: number;
        match: string[][];
        as: boolean[][];
    }

    export type Kind = "Self" | "not_ready" | "NOT_LIKELY" | "Super" | "crate";

    export const Kind = {
        Self: 0,
        not_ready: 1,
        NOT_LIKELY: 2,
        Super: 7,
        crate: 8,
    } as const;

    export namespace Delete {
        export interface Loop {
            outer: type.Loop;
            self: Kind;
        }

        export interface Super {
            /** `crate` may be left out; it is `Kind.Self` then. */
            move(super_: type.Loop, crate?: Kind): Loop | Promise<Loop>;
        }
    }

    export interface Tree {
        branches: Tree[];
        byName: Map<string, Tree>;
        all: Set<Kind>;
        calls: ((...args: any[]) => unknown)[];
    }

    export interface Far extends Delete.Super {
        near(
            tree: Promise<Tree>,
            done: Promise<void>,
            calls: ((...args: any[]) => unknown)[],
        ): short.Loop | Promise<short.Loop>;
        handler(): ((...args: any[]) => unknown) | Promise<(...args: any[]) => unknown>;
        any(value: unknown): unknown | Promise<unknown>;
    }

    export interface FarEvents {
        nothing: Record<string, never>;
    }

    export import short = type.Delete;
}

export namespace Other {
    export interface Loop {
        different: number;
    }

    export const FurtherVersion = 4;

    export interface Further extends type.Far {
        here(): Loop | Promise<Loop>;
        numbers: (number | bigint)[];
        readonly call: (...args: any[]) => unknown;
        /**
         * Ends * / here; `text` says "* /".
         * `text` may be left out; it is `"* / \" \\"` then.
         */
        quote(text?: string): void | Promise<void>;
    }

    export interface FurtherEvents extends type.FarEvents {}

    export interface Plain extends Loop {
        x: number;
    }

    export interface Most extends Plain {
        /** May be left out; it is `true` then. */
        readonly y?: boolean;
    }
}
