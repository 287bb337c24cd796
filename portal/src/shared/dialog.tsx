// Questions that wait for an answer.
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useTexts } from "./language";

// The browser keeps the focus inside and gives it back.
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
