// Made from Tau by `peerage idl --typescript`: change that file, and make this one again.

export namespace KAI {
    export namespace Network {
        export type Priority = "Low" | "Normal" | "High";

        export const Priority = {
            Low: 1,
            Normal: 5,
            High: 10,
        } as const;

        export interface Message {
            readonly id: number | bigint;
            type: string;
            from: string;
            to: string;
            payload: Uint8Array;
            sent: Date;
            /** May be left out; it is `Priority.Normal` then. */
            priority?: Priority;
            replies: Message[];
        }

        export interface MessageHandler {
            match(type: string, where: string): boolean | Promise<boolean>;
            /** `function` may be left out; it is `true` then. */
            delete(new_: number | bigint, function_?: boolean): void | Promise<void>;
            yield(self: Priority): void | Promise<void>;
            move: number;
        }

        export interface MessageQueue extends MessageHandler {
            readonly depth: number;
            push(message: Message): void | Promise<void>;
            /** `timeoutMs` may be left out; it is `-1` then. */
            pop(timeoutMs?: number): Message | Promise<Message>;
            subscribe(topic: string, onMessage: (...args: any[]) => unknown): void | Promise<void>;
            histogram(): (number | bigint)[][] | Promise<(number | bigint)[][]>;
        }

        export interface MessageQueueEvents {
            received: { message: Message };
            dropped: { message: Message; reason: string };
        }
    }
}
