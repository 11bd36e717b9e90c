//! What TypeScript knows of remote objects: of an interface that describes one, what its proxy has.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
export interface CallOptions { timeoutMs?: number; signal?: AbortSignal; version?: number; lane?: string }
export interface CurrentCall { peer?: Peer; signal: AbortSignal;
  /** Lets the next call of its lane begin, though this one goes on. */
  accept(): void }
type Func = (...args: any[]) => any;
type IsAny<T> = 0 extends 1 & T ? true : false;
/** What travels by its value whatever methods it has. */
type Value = Date | ReadonlyMap<any, any> | ReadonlySet<any> | readonly any[] | ArrayBuffer | ArrayBufferView | PromiseLike<any>;
type MethodNames<T> = { [K in keyof T]-?: NonNullable<T[K]> extends Func ? K : never }[keyof T];
/** What may be given for a parameter: a promise of it, what is elsewhere, a function that takes its time. */
export type Arg<T> = PromiseLike<T> | (T extends (...args: infer A) => infer R ? (...args: A) => R | PromiseLike<Awaited<R>>
  : T extends Value ? T : T extends object ? T | Remote<T> : T);
/** What comes of a call: a value as it is; of what has methods, also what can be done with any remote object. */
export type Result<T> = IsAny<T> extends true ? any : T extends Func ? Remote<T> : T extends Value ? T
  : T extends object ? [MethodNames<T>] extends [never] ? T : T & Remote<T> : T;
export type Method<F> = F extends (...args: infer A) => infer R ? (...args: { [I in keyof A]: Arg<A[I]> }) => Pending<Awaited<R>> : never;
export type Methods<T> = { [K in MethodNames<T>]: Method<NonNullable<T[K]>> };
export interface Verbs<T, E> {
  call(method: string, ...args: any[]): Pending<any>;
  get<K extends keyof T>(property: K): Pending<T[K]>;
  set<K extends keyof T>(property: K, value: T[K]): Promise<void>;
  on<K extends keyof E>(event: K, listener: (detail: E[K]) => void): Subscription;
  watch<K extends keyof T>(property: K, listener: (value: T[K]) => void): Subscription;
  with(options: CallOptions): Remote<T, E>;
}
type AnyMethods = { [method: string]: (...args: any[]) => Pending<any> };
/** An object at another node: its methods, and what can be done with any. */
export type Remote<T = any, E = any> = (IsAny<T> extends true ? AnyMethods & { then?: undefined }
  : (T extends Func ? Method<T> : unknown) & Methods<T>) & Verbs<T, E>;
/** The result of a call: a promise, which can be asked before it is there, and cancelled. */
export type Pending<T> = Promise<Result<T>> & { cancel(): void } & (IsAny<T> extends true ? AnyMethods & Verbs<any, any>
  : T extends Value ? unknown : T extends object ? Remote<T> : unknown);
export interface Node {
  /** Lets others find an object by this name: they call its methods, get, set and watch its properties. */
  agent(name: string, object: object, options?: { version?: number }): Agent;
  /** A proxy of the agent of a name at a node. Nothing is sent before it is used. */
  proxy<T = any, E = any>(target: string, agent: string, options?: CallOptions): Remote<T, E>;
  /** Marks an object as one that travels by reference, and gives it back. Functions do in any case. */
  byReference<T extends object>(object: T): T;
}
"#;
