// My devices: what is registered, and what can be done about it.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Confirm } from "../shared/dialog";
import type { Device } from "../shared/devices";
import { TextField } from "../shared/fields";
import { fill, useLanguage, useTexts } from "../shared/language";
import { Callout, Note, PageTitle, problemText, Time } from "../shared/parts";
import { go } from "../shared/route";
import { dateTime } from "../shared/times";
import { api } from "./api";
import { RegistrationRefused, type PortalPage } from "./app";
import { flow, wish } from "./state";

type Asking = { what: "remove"; device: Device } | { what: "recovery" } | null;

export function DevicesPage(page: PortalPage) {
  const texts = useTexts();
  const language = useLanguage();
  const { list, reload } = page;
  const [asking, setAsking] = useState<Asking>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const active = list.devices.filter((device) => device.status === "active");

  // Back from the page that asked for a code: what was wanted goes on where it stood.
  useEffect(() => {
    const wanted = wish.take();
    if (wanted?.what === "remove") {
      const device = list.devices.find((one) => one.id === wanted.device);
      if (device) setAsking({ what: "remove", device });
    }
  }, []);

  const register = () => {
    flow.drop();
    if (list.code_needed) {
      wish.set({ what: "register" });
      go("code");
    } else {
      go("register");
    }
  };
  const recovery = () => {
    if (list.code_needed) {
      wish.set({ what: "recovery" });
      go("code");
    } else if (list.recovery_codes_left > 0) {
      setAsking({ what: "recovery" });
    } else {
      go("recovery");
    }
  };
  const askRemoval = (device: Device) => {
    setProblem(null);
    if (device.status === "active" && list.code_needed) {
      wish.set({ what: "remove", device: device.id });
      go("code");
    } else {
      setAsking({ what: "remove", device });
    }
  };
  const remove = async (device: Device) => {
    const answer = await api.remove(device.id);
    setAsking(null);
    if (answer.ok || answer.problem.slug === "device_not_found") {
      const text = device.status === "pending" ? texts.portal.discarded : fill(texts.portal.removed, { name: device.name });
      return reload({ kind: "good", text });
    }
    if (answer.problem.slug === "code_needed") {
      wish.set({ what: "remove", device: device.id });
      return go("code");
    }
    setProblem(problemText(answer.problem, texts, language));
  };

  const refusedBy = list.may_register ? null : list.reason;
  return (
    <>
      <div class="title-row">
        <div>
          <PageTitle title={texts.portal.devices} />
          <p class="lead">{texts.portal.devicesLead}</p>
        </div>
        <button
          type="button"
          class="button primary"
          disabled={!list.may_register}
          aria-describedby={refusedBy ? "register-reason" : undefined}
          onClick={register}
        >
          {texts.portal.register}
        </button>
      </div>
      {refusedBy && (
        <div id="register-reason">
          <Callout kind="info">
            <RegistrationRefused list={list} config={page.config} />
          </Callout>
        </div>
      )}
      {problem && <Note kind="bad">{problem}</Note>}
      {list.devices.length === 0 ? (
        <section class="card empty">
          <PhonePicture />
          <h2>{texts.portal.none}</h2>
          {list.may_register && <p>{texts.portal.noneText}</p>}
        </section>
      ) : (
        <ul class="devices">
          {list.devices.map((device) => (
            <DeviceCard key={device.id} device={device} reload={reload} onRemove={() => askRemoval(device)} />
          ))}
        </ul>
      )}
      {active.length > 0 && (
        <section class="card row recovery" aria-labelledby="recovery-title">
          <div>
            <h2 id="recovery-title">{texts.portal.recovery}</h2>
            <p>
              {texts.portal.recoveryText}{" "}
              {list.recovery_codes_left === 0 ? texts.portal.recoveryNone
              : list.recovery_codes_left === 1 ? texts.portal.recoveryLeftOne
              : fill(texts.portal.recoveryLeft, { n: list.recovery_codes_left })}
            </p>
          </div>
          <button type="button" class="button" onClick={recovery}>
            {list.recovery_codes_left > 0 ? texts.portal.recoveryMakeNew : texts.portal.recoveryMake}
          </button>
        </section>
      )}
      {asking?.what === "remove" && (
        <Confirm
          title={fill(texts.portal.removeTitle, { name: asking.device.name })}
          action={asking.device.status === "pending" ? texts.portal.discard : texts.portal.remove}
          danger
          onYes={() => remove(asking.device)}
          onClose={() => setAsking(null)}
        >
          {asking.device.status === "active" && <p>{texts.portal.removeText}</p>}
          {asking.device.status === "active" && active.length === 1 && <Callout kind="warn">{texts.portal.removeLast}</Callout>}
        </Confirm>
      )}
      {asking?.what === "recovery" && (
        <Confirm
          title={texts.portal.recoveryConfirm}
          action={texts.portal.recoveryMakeNew}
          onYes={async () => go("recovery")}
          onClose={() => setAsking(null)}
        >
          <p>{texts.portal.recoveryConfirmText}</p>
        </Confirm>
      )}
    </>
  );
}

function DeviceCard({ device, reload, onRemove }: { device: Device; reload: PortalPage["reload"]; onRemove: () => void }) {
  const texts = useTexts();
  const language = useLanguage();
  const [renaming, setRenaming] = useState(false);
  const renameButton = useRef<HTMLButtonElement>(null);
  const wasRenaming = useRef(false);
  useLayoutEffect(() => {
    if (wasRenaming.current) renameButton.current?.focus();
    wasRenaming.current = renaming;
  }, [renaming]);
  if (renaming) {
    return (
      <li class="card device">
        <RenameForm device={device} onDone={() => setRenaming(false)} reload={reload} />
      </li>
    );
  }
  const pending = device.status === "pending";
  return (
    <li class={pending ? "card device pending" : "card device"}>
      <PhonePicture />
      <div class="device-text">
        <h2>{device.name}</h2>
        {pending ? (
          <p>
            <span class="badge warn">{texts.portal.pending}</span>{" "}
            {fill(texts.portal.pendingText, {
              time: dateTime(device.created_at, language),
              until: dateTime(device.expires_at ?? device.created_at, language),
            })}
          </p>
        ) : (
          <dl class="facts">
            <div>
              <dt>{texts.portal.registered}</dt>
              <dd>
                <Time at={device.confirmed_at ?? device.created_at} />
              </dd>
            </div>
            <div>
              <dt>{texts.portal.lastUsed}</dt>
              <dd>{device.last_used_at ? <Time at={device.last_used_at} relative /> : texts.portal.neverUsed}</dd>
            </div>
          </dl>
        )}
        {!device.enabled && <span class="badge bad">{texts.portal.disabled}</span>}
      </div>
      <div class="actions">
        {pending ? (
          <button type="button" class="button" onClick={() => go("configure", device.id)}>
            {texts.portal.resume}
          </button>
        ) : (
          <button
            type="button"
            class="button quiet"
            ref={renameButton}
            aria-label={fill(texts.portal.renameOf, { name: device.name })}
            onClick={() => setRenaming(true)}
          >
            {texts.portal.rename}
          </button>
        )}
        <button
          type="button"
          class="button quiet"
          aria-label={fill(pending ? texts.portal.discardOf : texts.portal.removeOf, { name: device.name })}
          onClick={onRemove}
        >
          {pending ? texts.portal.discard : texts.portal.remove}
        </button>
      </div>
    </li>
  );
}

function RenameForm({ device, onDone, reload }: { device: Device; onDone: () => void; reload: PortalPage["reload"] }) {
  const texts = useTexts();
  const language = useLanguage();
  const [name, setName] = useState(device.name);
  const [error, setError] = useState<string | null>(null);
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => input.current?.select(), []);
  const save = async (event: Event) => {
    event.preventDefault();
    const wanted = name.trim();
    if (wanted === "") return setError(texts.shared.nameEmpty);
    if (wanted === device.name) return onDone();
    const answer = await api.rename(device.id, wanted);
    if (!answer.ok) return setError(problemText(answer.problem, texts, language));
    await reload({ kind: "good", text: fill(texts.portal.renamed, { name: wanted }) });
    onDone();
  };
  return (
    <form class="rename" onSubmit={save} onKeyDown={(event) => event.key === "Escape" && onDone()}>
      <TextField input={input} label={texts.shared.deviceName} error={error} value={name} onValue={setName} />
      <div class="actions">
        <button type="submit" class="button primary">
          {texts.shared.save}
        </button>
        <button type="button" class="button" onClick={onDone}>
          {texts.shared.cancel}
        </button>
      </div>
    </form>
  );
}

function PhonePicture() {
  return (
    <svg class="phone" viewBox="0 0 32 40" aria-hidden="true">
      <rect x="5" y="2" width="22" height="36" rx="5" />
      <path d="M13 33.500h6M11 14h10M11 19h6" />
    </svg>
  );
}
