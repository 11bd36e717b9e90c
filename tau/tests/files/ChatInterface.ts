// Made from Tau by `peerage idl --typescript`: change that file, and make this one again.

export namespace Chat {
    export type Presence = "online" | "away" | "do_not_disturb" | "offline";

    export interface User {
        userId: string;
        displayName: string;
        /** May be left out; it is `Presence.offline` then. */
        presence?: Presence;
        avatar: Uint8Array;
    }

    export interface Entry {
        at: Date;
        author: User;
        text: string;
    }

    export interface Attachment extends Entry {
        fileName: string;
        content: Uint8Array;
    }

    export interface Room {
        topic: string;
        readonly created: Date;
        /** `count` may be left out; it is `50` then. */
        history(count?: number): Entry[] | Promise<Entry[]>;
        post(text: string): void | Promise<void>;
        attach(attachment: Attachment): void | Promise<void>;
    }

    export interface RoomEvents {
        posted: { entry: Entry };
        typing: { user: User; now: boolean };
    }

    export interface Chat {
        login(name: string, password: string): User | Promise<User>;
        enter(name: string): Room | Promise<Room>;
        rooms(): Map<string, Room> | Promise<Map<string, Room>>;
        count(): Map<Presence, number> | Promise<Map<Presence, number>>;
    }
}
