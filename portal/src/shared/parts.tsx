// The few parts that both pages are built of.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "./http";
import { fill, useLanguage, useTexts, type Texts } from "./language";
import { ago, dateTime, duration, exactTime } from "./times";

// A page's heading. It takes the focus when the page opens, so that a screen reader reads on from there, and names the tab.
// Here as elsewhere the focus moves with the change itself, not after the next paint: what is typed meanwhile would be lost.
export function PageTitle({ children, title, quiet }: { children?: ComponentChildren; title: string; quiet?: boolean }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const texts = useTexts();
  useLayoutEffect(() => {
    document.title = fill(texts.shared.pageTitle, { page: title });
    if (!quiet) heading.current?.focus({ preventScroll: true });
    if (!quiet) scrollTo(0, 0);
  }, [title]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children ?? title}
    </h1>
  );
}

export type NoteKind = "good" | "bad" | "warn" | "info";

// A message that is read aloud when it comes: bad ones at once, others when the reader pauses.
export function Note({ kind, children, id }: { kind: NoteKind; children: ComponentChildren; id?: string }) {
  return (
    <div class={`note ${kind}`} role={kind === "bad" ? "alert" : "status"} id={id}>
      <NoteMark kind={kind} />
      <div>{children}</div>
    </div>
  );
}

// The same look for what stands on the page from the start.
export function Callout({ kind, children, id }: { kind: NoteKind; children: ComponentChildren; id?: string }) {
  return (
    <div class={`note ${kind}`} id={id}>
      <NoteMark kind={kind} />
      <div>{children}</div>
    </div>
  );
}

function NoteMark({ kind }: { kind: NoteKind }) {
  const path = { good: "M4.500 10.500l3.500 3.500 7.500-8", bad: "M10 5v6.500M10 14.800v.2", warn: "M10 5v6.500M10 14.800v.2", info: "M10 9v6M10 5.800v.2" }[kind];
  return (
    <svg class="note-mark" viewBox="0 0 20 20" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

export function Busy() {
  return <p class="busy">{useTexts().shared.loading}</p>;
}

export function Time({ at, relative, exact }: { at: string; relative?: boolean; exact?: boolean }) {
  const language = useLanguage();
  const whole = exactTime(at, language);
  return (
    <time dateTime={at} title={whole}>
      {relative ? ago(at, Date.now(), language) : exact ? whole : dateTime(at, language)}
    </time>
  );
}

// A refusal in the reader's words where we know it, in the server's where we do not.
export function problemText(problem: Problem, texts: Texts, language: string): string {
  if (problem.status === 0) return texts.shared.offline;
  if (problem.status === 503) return texts.shared.unavailable;
  if (problem.status === 429) return fill(texts.shared.tooMany, { time: duration(problem.retryAfterS ?? 60, language) });
  if (problem.slug === "name_taken") return texts.shared.nameTaken;
  return problem.detail ? fill(texts.shared.failed, { detail: problem.detail }) : texts.shared.failedPlain;
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const texts = useTexts();
  const [said, setSaid] = useState<string | null>(null);
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(null), 4000);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = () =>
    navigator.clipboard
      ? navigator.clipboard.writeText(text).then(
          () => setSaid(texts.shared.copied),
          () => setSaid(texts.shared.copyFailed),
        )
      : Promise.resolve(setSaid(texts.shared.copyFailed));
  return (
    <span class="copy">
      <button type="button" class="button" onClick={copy}>
        {label}
      </button>
      <span role="status" class="said">
        {said}
      </span>
    </span>
  );
}

// A key or a link that is shown once, with the way to take it along.
export function Once({ text, copyLabel }: { text: string; copyLabel: string }) {
  return (
    <>
      <code class="once" translate={false}>
        {text}
      </code>
      <CopyButton text={text} label={copyLabel} />
    </>
  );
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="9" class="mark-ground" />
      <path class="mark-line" d="M16 6.500l7.500 2.800v6.200c0 4.700-3.100 8.300-7.500 10-4.400-1.700-7.500-5.300-7.500-10V9.300z" />
      <path class="mark-line" d="M12.500 15.800l2.600 2.600 4.600-5" />
    </svg>
  );
}
