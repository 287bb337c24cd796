// One person: lock state and devices, and what an administrator may do about them. A device or person is changed only as it
// was shown (If-Match): who was overtaken by somebody else sees what is there now, and decides anew.
import { useCallback, useEffect, useState } from "preact/hooks";
import type { Answer, Problem } from "../shared/http";
import { fill, useLanguage, useTexts } from "../shared/language";
import { Confirm } from "../shared/dialog";
import { Busy, Note, PageTitle, Time } from "../shared/parts";
import { go, hrefOf } from "../shared/route";
import { duration } from "../shared/times";
import { api, type AdminDevice, type UserDetail } from "./api";
import { Refused } from "./app";
import { BehalfCard } from "./behalf_card";
import { DataTable } from "./data_table";
import { LinkCard } from "./link_card";
import { driftText, ResyncDialog } from "./resync";

type Asking = { what: "device" | "resync"; device: AdminDevice } | { what: "user" } | null;

export function UserPage({ user }: { user: string }) {
  const texts = useTexts();
  const t = texts.console;
  const [detail, setDetail] = useState<UserDetail | null>(null);
  const [etag, setEtag] = useState("*");
  const [unknown, setUnknown] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const [asking, setAsking] = useState<Asking>(null);

  const load = useCallback(async () => {
    const answer = await api.user(user);
    if (answer.ok) {
      setDetail(answer.value);
      setEtag(answer.etag ?? "*");
    } else if (answer.problem.slug === "user_not_found") setDetail(null);
    setUnknown(!answer.ok && answer.problem.slug === "user_not_found");
    setProblem(answer.ok || answer.problem.slug === "user_not_found" ? null : answer.problem);
  }, [user]);
  useEffect(() => void load(), [load]);

  const act = async (change: Promise<Answer<unknown>>, words: string) => {
    setSaid(null);
    const answer = await change;
    setAsking(null);
    await load();
    if (answer.ok) setSaid(words);
    else setProblem(answer.problem);
  };

  return (
    <>
      <nav aria-label={t.users}>
        <a href={hrefOf("users")}>{t.users}</a>
      </nav>
      <PageTitle title={user} />
      {said && <Note kind="good">{said}</Note>}
      {problem && <Refused problem={problem} />}
      {!detail && !unknown && !problem && <Busy />}
      {unknown && <Note kind="info">{t.noSuchUser}</Note>}
      {detail && <LockCard detail={detail} onUnlock={() => act(api.unlock(user), t.unlockDone)} />}
      {detail && (
        <Devices
          devices={detail.devices}
          onEnable={(device) =>
            void act(
              api.enable(user, device.id, !device.enabled, etag),
              fill(device.enabled ? t.disabledDone : t.enabledDone, { name: device.name }),
            )
          }
          onResync={(device) => setAsking({ what: "resync", device })}
          onRemove={(device) => setAsking({ what: "device", device })}
        />
      )}
      <div class="pair">
        <LinkCard user={user} />
        <BehalfCard
          user={user}
          onBegun={() => void load()}
          onDone={(name) => void load().then(() => setSaid(fill(t.behalfDone, { name })))}
        />
      </div>
      {detail && (
        <div class="actions">
          <a class="button" href={hrefOf("audit", user)}>
            {t.audit}
          </a>
          <button type="button" class="button" onClick={() => setAsking({ what: "user" })}>
            {t.removeUser}
          </button>
        </div>
      )}
      {asking?.what === "device" && (
        <Confirm
          title={fill(t.removeTitle, { name: asking.device.name })}
          action={t.remove}
          danger
          onYes={() => act(api.removeDevice(user, asking.device.id, etag), fill(t.removeDone, { name: asking.device.name }))}
          onClose={() => setAsking(null)}
        >
          <p>{t.removeText}</p>
        </Confirm>
      )}
      {asking?.what === "resync" && (
        <ResyncDialog
          user={user}
          device={asking.device}
          onDone={(driftSteps) => {
            const words = fill(t.resyncDone, { name: asking.device.name, drift: driftText(driftSteps, t) });
            setAsking(null);
            void load().then(() => setSaid(words));
          }}
          onClose={() => setAsking(null)}
        />
      )}
      {asking?.what === "user" && (
        <Confirm
          title={fill(t.removeUserTitle, { user })}
          action={t.remove}
          danger
          onYes={async () => {
            const answer = await api.removeUser(user, etag);
            setAsking(null);
            if (answer.ok) return go("users");
            await load();
            setProblem(answer.problem);
          }}
          onClose={() => setAsking(null)}
        >
          <p>{t.removeUserText}</p>
        </Confirm>
      )}
    </>
  );
}

function LockCard({ detail, onUnlock }: { detail: UserDetail; onUnlock: () => Promise<void> }) {
  const texts = useTexts();
  const t = texts.console;
  const language = useLanguage();
  const state =
    detail.hard_locked ? t.lockedHard
    : detail.locked ? fill(t.lockedFor, { time: duration(detail.retry_after_s ?? 1, language) })
    : t.unlocked;
  return (
    <section class="card row">
      <div class="lock-state">
        <span class={detail.locked || detail.hard_locked ? "badge bad" : "badge good"}>{state}</span>
        <span>{detail.failures > 0 ? fill(t.failures, { n: detail.failures }) : t.noFailures}</span>
        {detail.recovery_codes_left !== undefined && (
          <span>{fill(t.recoveryLeft, { n: detail.recovery_codes_left })}</span>
        )}
      </div>
      {(detail.locked || detail.hard_locked || detail.failures > 0) && (
        <button type="button" class="button" onClick={() => void onUnlock()}>
          {t.unlock}
        </button>
      )}
    </section>
  );
}

interface DeviceActions {
  onEnable: (device: AdminDevice) => void;
  onResync: (device: AdminDevice) => void;
  onRemove: (device: AdminDevice) => void;
}

function Devices({ devices, ...actions }: { devices: AdminDevice[] } & DeviceActions) {
  const texts = useTexts();
  const t = texts.console;
  return (
    <div class="stack">
      <h2 id="devices-title">{t.devices}</h2>
      <DataTable
        labelledBy="devices-title"
        columns={[
          { title: texts.shared.deviceName },
          { title: t.state },
          { title: t.registered },
          { title: t.lastUsed },
          { title: t.drift },
          { title: t.actions },
        ]}
        rows={devices.map((device) => ({
          key: device.id,
          cells: [
            device.name,
            <DeviceState device={device} />,
            device.status === "active" ? <Time at={device.confirmed_at ?? device.created_at} /> : "–",
            device.last_used_at ? <Time at={device.last_used_at} relative /> : texts.shared.never,
            device.status === "active" ? driftText(device.drift_steps, t) : "–",
            <DeviceButtons device={device} {...actions} />,
          ],
        }))}
      />
    </div>
  );
}

function DeviceButtons({ device, onEnable, onResync, onRemove }: { device: AdminDevice } & DeviceActions) {
  const t = useTexts().console;
  const button = (words: string, label: string, act: (device: AdminDevice) => void) => (
    <button type="button" class="button small" aria-label={fill(label, { name: device.name })} onClick={() => act(device)}>
      {words}
    </button>
  );
  const active = device.status === "active";
  return (
    <div class="actions">
      {active && (device.enabled ? button(t.disable, t.disableOf, onEnable) : button(t.enable, t.enableOf, onEnable))}
      {active && device.enabled && button(t.resync, t.resyncOf, onResync)}
      {button(t.remove, t.removeOf, onRemove)}
    </div>
  );
}

function DeviceState({ device }: { device: AdminDevice }) {
  const t = useTexts().console;
  if (device.status === "pending") return <span class="badge warn">{t.pending}</span>;
  return device.enabled ? <span class="badge good">{t.active}</span> : <span class="badge bad">{t.disabled}</span>;
}
