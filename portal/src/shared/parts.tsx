// The few parts that both pages are built of.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { codeDigits } from "./codes";
import type { Problem } from "./http";
import { fill, useLanguage, useTexts, type Texts } from "./language";
import { ago, dateTime, duration, exactTime } from "./times";

// A page's heading. It takes the focus when the page opens, so that a screen reader reads on from there, and names the tab.
export function PageTitle({ children, title, quiet }: { children?: ComponentChildren; title: string; quiet?: boolean }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const texts = useTexts();
  useEffect(() => {
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

// A question that waits for an answer. The browser keeps the focus inside and gives it back.
export function Dialog(props: { title: string; children: ComponentChildren; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const shown = dialog.current;
    const opener = document.activeElement;
    shown?.showModal();
    return () => {
      shown?.close();
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
    >
      <h2 id={id}>{props.title}</h2>
      {props.children}
    </dialog>
  );
}

export function Confirm(props: {
  title: string;
  children: ComponentChildren;
  action: string;
  danger?: boolean;
  onYes: () => Promise<void>;
  onClose: () => void;
}) {
  const texts = useTexts();
  const [busy, setBusy] = useState(false);
  const yes = async () => {
    if (busy) return;
    setBusy(true);
    await props.onYes();
    setBusy(false);
  };
  return (
    <Dialog title={props.title} onClose={props.onClose}>
      {props.children}
      <div class="actions end">
        <button type="button" class="button" onClick={props.onClose}>
          {texts.shared.cancel}
        </button>
        <button type="button" class={props.danger ? "button danger" : "button primary"} aria-disabled={busy} onClick={yes}>
          {props.action}
        </button>
      </div>
    </Dialog>
  );
}

export function Field(props: {
  label: string;
  hint?: ComponentChildren;
  error?: string | null;
  children: (ids: { id: string; describedBy: string; invalid: boolean }) => ComponentChildren;
}) {
  const id = useId();
  const described = [props.hint ? `${id}-hint` : "", props.error ? `${id}-error` : ""].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      {props.hint && (
        <div class="hint" id={`${id}-hint`}>
          {props.hint}
        </div>
      )}
      {props.children({ id, describedBy: described, invalid: Boolean(props.error) })}
      {props.error && (
        <div class="field-error" id={`${id}-error`} role="alert">
          {props.error}
        </div>
      )}
    </div>
  );
}

// One code from an app. Takes what people paste ("123 456") and keeps its digits.
export function CodeField(props: {
  label: string;
  digits: number;
  value: string;
  onValue: (value: string) => void;
  error?: string | null;
  hint?: ComponentChildren;
  focus?: boolean;
}) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (props.focus) input.current?.focus();
  }, []);
  // After a refusal the person wants to type again, not to look for the field.
  useEffect(() => {
    if (props.error) {
      input.current?.focus();
      input.current?.select();
    }
  }, [props.error]);
  return (
    <Field label={props.label} hint={props.hint} error={props.error ?? null}>
      {({ id, describedBy, invalid }) => (
        <input
          ref={input}
          id={id}
          class="code"
          type="text"
          name="code"
          autocomplete="one-time-code"
          inputMode="numeric"
          autocapitalize="off"
          spellcheck={false}
          size={props.digits + 1}
          aria-describedby={describedBy || undefined}
          aria-invalid={invalid}
          value={props.value}
          onInput={(event) => {
            const digits = codeDigits(event.currentTarget.value, props.digits);
            event.currentTarget.value = digits;
            props.onValue(digits);
          }}
        />
      )}
    </Field>
  );
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

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="9" class="mark-ground" />
      <path class="mark-line" d="M16 6.500l7.500 2.800v6.200c0 4.700-3.100 8.300-7.500 10-4.400-1.700-7.500-5.300-7.500-10V9.300z" />
      <path class="mark-line" d="M12.500 15.800l2.600 2.600 4.600-5" />
    </svg>
  );
}
