// Where the page is: "#/configure/ID" is ["configure", "ID"]. The fragment never reaches the server or its logs.
import { useEffect, useState } from "preact/hooks";

export function parseRoute(hash: string): string[] {
  if (!hash.startsWith("#/")) return [];
  return hash
    .slice(2)
    .split("/")
    .filter((part) => part !== "")
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
}

export function hrefOf(...parts: string[]): string {
  return "#/" + parts.map(encodeURIComponent).join("/");
}

export function go(...parts: string[]): void {
  location.hash = hrefOf(...parts);
}

// Without a step in the history: what is done is not gone back to.
export function goInstead(...parts: string[]): void {
  history.replaceState(null, "", hrefOf(...parts));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function useRoute(): string[] {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const follow = () => setRoute(parseRoute(location.hash));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}
