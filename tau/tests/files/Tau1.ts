// Made from Tau by `peerage idl --typescript`: change that file, and make this one again.

export namespace MLB {
    export interface C0 {
        n0: number;
        s0: string;
    }
}
