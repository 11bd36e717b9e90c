// Made from Tau by `peerage idl --typescript`: change that file, and make this one again.

export namespace KAI {
    export namespace Network {
        /** How far a connection has come. */
        export type ConnectionState = "Disconnected" | "Connecting" | "Connected" | "FAILED";

        export const ConnectionState = {
            Disconnected: 0,
            Connecting: 1,
            /** Both sides know each other. */
            Connected: 5,
            FAILED: -1,
        } as const;

        export interface ConnectionInfo {
            address: string;
            /** May be left out; it is `14589` then. */
            port?: number;
            /** May be left out; it is `ConnectionState.Disconnected` then. */
            state?: ConnectionState;
            since: Date;
        }

        export interface Connection {
            /** It is `ConnectionState.Disconnected` at first. */
            readonly state: ConnectionState;
            /** It is `5000` at first. */
            timeoutMs: number;
            connect(address: string, port: number): boolean | Promise<boolean>;
            disconnect(): void | Promise<void>;
            getInfo(): ConnectionInfo | Promise<ConnectionInfo>;
            /** `timeoutMs` may be left out; it is `1000` then. */
            ping(timeoutMs?: number): boolean | Promise<boolean>;
        }

        export interface ConnectionEvents {
            stateChanged: { before: ConnectionState; now: ConnectionState };
            /** `message` may be left out; it is `"unknown"` then. */
            error: { code: number; message?: string };
        }
    }
}
