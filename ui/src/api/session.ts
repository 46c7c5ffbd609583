/** Whether the session has ended, as the last answers say: nobody is sent away from what they are writing. */

type Listener = () => void;
let ended = false;
const listeners = new Set<Listener>();

export function noteSession(over: boolean): void {
  if (over === ended) return;
  ended = over;
  for (const listener of listeners) listener();
}

export const sessionEnded = (): boolean => ended;

export function watchSession(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
