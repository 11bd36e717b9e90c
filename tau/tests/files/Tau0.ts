// Made from Tau by `peerage idl --typescript`: change that file, and make this one again.

export namespace MLB {
    export interface C0 {}
}
