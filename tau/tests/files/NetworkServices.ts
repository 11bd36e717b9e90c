// Made from Tau by `peerage idl --typescript`: change that file, and make this one again.

export namespace KAI {
    export namespace Network {
        /** What nodes offer each other. */
        export namespace Services {
            export interface ServiceInfo {
                name: string;
                /** May be left out; it is `"1.0"` then. */
                version?: string;
                tags: string[];
                metadata: Map<string, string>;
            }

            export const ServiceRegistryVersion = 1;

            /** Finds services by name. */
            export interface ServiceRegistry {
                /** It is `0` at first. */
                readonly serviceCount: number;
                register(service: ServiceInfo, instance: unknown): boolean | Promise<boolean>;
                unregister(name: string): boolean | Promise<boolean>;
                /** `pattern` may be left out; it is `"*"` then. */
                find(pattern?: string): ServiceInfo[] | Promise<ServiceInfo[]>;
                resolve(name: string): unknown | Promise<unknown>;
            }

            export interface ServiceRegistryEvents {
                serviceRegistered: { service: ServiceInfo };
                serviceUnregistered: { name: string };
            }

            /** Talk, room by room. */
            export interface ChatService {
                join(room: string, user: string): void | Promise<void>;
                leave(room: string, user: string): void | Promise<void>;
                say(room: string, text: string): void | Promise<void>;
                getUsers(room: string): string[] | Promise<string[]>;
            }

            export interface ChatServiceEvents {
                messageReceived: { room: string; user: string; text: string; at: Date };
                userJoined: { room: string; user: string };
                userLeft: { room: string; user: string };
            }

            export namespace Files {
                export type TransferState = "Waiting" | "Running" | "Paused" | "Done" | "Failed" | "Cancelled";

                export interface Transfer {
                    id: number | bigint;
                    path: string;
                    size: number | bigint;
                    /** May be left out; it is `TransferState.Waiting` then. */
                    state?: TransferState;
                    service: ServiceInfo;
                }
            }

            /** Sends files, in parts. */
            export interface FileTransferService {
                send(
                    path: string,
                    announceIn: ChatService,
                ): Files.Transfer | Promise<Files.Transfer>;
                /** `length` may be left out; it is `65536` then. */
                readPart(
                    id: number | bigint,
                    offset: number | bigint,
                    length?: number,
                ): Uint8Array | Promise<Uint8Array>;
                pause(id: number | bigint): boolean | Promise<boolean>;
                resume(id: number | bigint): boolean | Promise<boolean>;
                /** `reason` may be left out; it is `""` then. */
                cancel(id: number | bigint, reason?: string): boolean | Promise<boolean>;
            }

            export interface FileTransferServiceEvents {
                progress: { id: number | bigint; bytesDone: number | bigint; bytesTotal: number | bigint };
                completed: { transfer: Files.Transfer };
                cancelled: { id: number | bigint; reason: string };
            }
        }
    }
}
