// Fields of forms, each with its label, its hint and what is wrong with it.
import type { ComponentChildren, RefObject } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { codeDigits } from "./codes";

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

// A line of text; a name's 64 characters unless something else is said.
export function TextField(props: {
  label: string;
  value: string;
  onValue: (value: string) => void;
  hint?: ComponentChildren;
  error?: string | null;
  name?: string;
  maxLength?: number;
  required?: boolean;
  verbatim?: boolean; // a code or an address: nothing that a keyboard or a spelling checker should better
  input?: RefObject<HTMLInputElement | null>;
}) {
  return (
    <Field label={props.label} hint={props.hint} error={props.error ?? null}>
      {({ id, describedBy, invalid }) => (
        <input
          ref={props.input ?? null}
          id={id}
          type="text"
          name={props.name}
          maxLength={props.maxLength ?? 64}
          autocomplete="off"
          autocapitalize={props.verbatim ? "off" : undefined}
          spellcheck={props.verbatim ? false : undefined}
          required={props.required}
          aria-describedby={describedBy || undefined}
          aria-invalid={invalid}
          value={props.value}
          onInput={(event) => props.onValue(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

// One of a few lengths of time.
export function DurationField(props: {
  label: string;
  choicesS: number[];
  valueS: number;
  onValue: (seconds: number) => void;
  words: (seconds: number) => string;
}) {
  return (
    <Field label={props.label}>
      {({ id }) => (
        <select id={id} value={props.valueS} onChange={(event) => props.onValue(Number(event.currentTarget.value))}>
          {props.choicesS.map((seconds) => (
            <option key={seconds} value={seconds}>
              {props.words(seconds)}
            </option>
          ))}
        </select>
      )}
    </Field>
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
  useLayoutEffect(() => {
    if (props.focus) input.current?.focus();
  }, []);
  // After a refusal the person wants to type again, not to look for the field.
  useLayoutEffect(() => {
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
