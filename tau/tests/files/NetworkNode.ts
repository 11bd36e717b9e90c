// Made from Tau by `peerage idl --typescript`: change that file, and make this one again.

export namespace KAI {
    export namespace Network {
        export interface PeerInfo {
            id: string;
            name: string;
            bytesSent: number | bigint;
            capabilities: string[];
            properties: Map<string, unknown>;
        }

        export interface Node {
            readonly id: string;
            name: string;
            /** It is `false` at first. */
            readonly isRunning: boolean;
            listen(port: number): boolean | Promise<boolean>;
            /** `port` may be left out; it is `14589` then. */
            connect(host: string, port?: number): boolean | Promise<boolean>;
            disconnect(peerId: string): void | Promise<void>;
            getPeerCount(): number | Promise<number>;
            getPeers(): PeerInfo[] | Promise<PeerInfo[]>;
            send(peerId: string, data: Uint8Array): void | Promise<void>;
            call(peerId: string, method: string, arguments_: unknown[]): unknown | Promise<unknown>;
            onMessage(type: string, handler: (...args: any[]) => unknown): void | Promise<void>;
            version(): string | Promise<string>;
        }

        export interface NodeEvents {
            peerConnected: { peer: PeerInfo };
            peerDisconnected: { peerId: string; reason: string };
        }
    }
}
