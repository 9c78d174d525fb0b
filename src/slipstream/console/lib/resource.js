// What a page asks of the server: loading, there, or failed; asked again at intervals and when the server is back.
import { useCallback, useEffect, useRef, useState } from "../vendor/preact.js";
import { Away, epoch, isAbort } from "./api.js";
import { useStore } from "./store.js";

const NOTHING = { data: undefined, error: null, loading: true };

export function useResource(ask, needs, { every_ms = 0 } = {}) {
  const [state, setState] = useState(NOTHING);
  const [turn, setTurn] = useState(0);
  const round = useStore(epoch);
  const asked = useRef(null);
  const reload = useCallback(() => setTurn((before) => before + 1), []);

  useEffect(() => setState(NOTHING), needs);
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    asked.current = async () => {
      try {
        const data = await ask(stop.signal);
        if (!stop.signal.aborted) setState({ data, error: null, loading: false });
      } catch (error) {
        if (isAbort(error) || stop.signal.aborted) return;
        // What was there stays in view while the server is away.
        setState((before) => ({ ...before, error: error instanceof Away && before.data ? null : error, loading: false }));
      }
      if (every_ms && !stop.signal.aborted) timer = setTimeout(later, every_ms);
    };
    const later = () => (document.hidden ? document.addEventListener("visibilitychange", later, { once: true }) : asked.current());
    asked.current();
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", later);
    };
  }, [...needs, turn, round, every_ms]);
  return { ...state, reload };
}

// A list that is read page by page.
export function usePages(ask, needs) {
  const [further, setFurther] = useState({ of: null, items: [], next: null, loading: false, error: null });
  const first = useResource((signal) => ask(null, signal), needs);
  const mine = further.of === first.data ? further : { items: [], next: first.data?.next ?? null, loading: false, error: null };
  const readMore = async () => {
    const kept = { ...mine, of: first.data };
    setFurther({ ...kept, loading: true, error: null });
    try {
      const page = await ask(mine.next);
      setFurther({ ...kept, items: [...mine.items, ...page.items], next: page.next ?? null, loading: false, error: null });
    } catch (error) {
      setFurther({ ...kept, loading: false, error });
    }
  };
  return { ...first, items: first.data && [...first.data.items, ...mine.items], next: mine.next, more: mine, readMore };
}

// Something that is done once, when a person asks for it.
export function useAction(act) {
  const [state, setState] = useState({ busy: false, error: null, result: undefined });
  const run = async (...given) => {
    setState({ busy: true, error: null, result: undefined });
    try {
      const result = await act(...given);
      setState({ busy: false, error: null, result });
      return result;
    } catch (error) {
      setState({ busy: false, error: isAbort(error) ? null : error, result: undefined });
      return undefined;
    }
  };
  const clear = () => setState({ busy: false, error: null, result: undefined });
  return { ...state, run, clear };
}
