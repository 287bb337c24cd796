// Device name: the first step of a registration.
import { useEffect, useRef, useState } from "preact/hooks";
import { TextField } from "../shared/fields";
import { useLanguage, useTexts } from "../shared/language";
import { Callout, PageTitle, problemText } from "../shared/parts";
import { go, goInstead } from "../shared/route";
import { api } from "./api";
import { RegistrationRefused, type PortalPage } from "./app";
import { Steps } from "./steps";
import { flow, wish } from "./state";

export function NamePage({ list, config, reload }: PortalPage) {
  const texts = useTexts();
  const language = useLanguage();
  const [name, setName] = useState(flow.get().name);
  const [error, setError] = useState<string | null>(null);
  const busy = useRef(false);
  const input = useRef<HTMLInputElement>(null);

  useEffect(() => {
    if (list.code_needed && list.may_register) {
      wish.set({ what: "register" });
      goInstead("code");
    }
  }, []);

  // Coming back with the same name, or a better one, goes on with the same registration: its secret may be in the app already.
  const resume = async (wanted: string): Promise<string | null> => {
    const begun = flow.get().begun;
    if (!begun || Date.parse(begun.expires_at) <= Date.now()) return null;
    if (begun.name === wanted) return begun.id;
    const renamed = await api.rename(begun.id, wanted);
    if (!renamed.ok) return null;
    begun.name = wanted; // in place: a copy would be a second home of the secret
    return begun.id;
  };
  const next = async () => {
    const wanted = name.trim();
    if (wanted === "") return setError(texts.shared.nameEmpty);
    flow.keep({ name: wanted });
    const resumed = await resume(wanted);
    if (resumed) return go("configure", resumed);
    const answer = await api.begin(wanted);
    if (answer.ok) {
      flow.keep({ begun: answer.value });
      await reload();
      return go("configure", answer.value.id);
    }
    if (answer.problem.slug === "code_needed") {
      wish.set({ what: "register" });
      return go("code");
    }
    if (answer.problem.status === 403 || answer.problem.slug === "device_limit") await reload();
    setError(problemText(answer.problem, texts, language));
  };
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy.current) return;
    busy.current = true;
    setError(null);
    await next();
    busy.current = false;
    input.current?.focus();
  };

  if (!list.may_register) {
    return (
      <section class="card narrow">
        <PageTitle title={texts.portal.nameTitle} />
        <Callout kind="info">
          <RegistrationRefused list={list} config={config} />
        </Callout>
        <a class="button" href="#/">
          {texts.portal.toDevices}
        </a>
      </section>
    );
  }
  return (
    <section class="card narrow">
      <Steps at={1} />
      <PageTitle title={texts.portal.nameTitle} />
      <p>{texts.portal.nameLead}</p>
      <form onSubmit={submit}>
        <TextField
          input={input}
          name="device-name"
          required
          label={texts.shared.deviceName}
          hint={texts.portal.nameHint}
          error={error}
          value={name}
          onValue={(typed) => {
            setName(typed);
            flow.keep({ name: typed });
          }}
        />
        <div class="actions end">
          <a class="button" href="#/">
            {texts.shared.cancel}
          </a>
          <button type="submit" class="button primary">
            {texts.portal.next}
          </button>
        </div>
      </form>
    </section>
  );
}
