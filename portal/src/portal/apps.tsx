// Apps that are known to work. Names only: a link would tell another house who registers a device.
import { useState } from "preact/hooks";
import { fill, useTexts } from "../shared/language";

const apps: [name: string, runsOn: string][] = [
  ["Google Authenticator", "iOS, Android"],
  ["Microsoft Authenticator", "iOS, Android"],
  ["2FAS", "iOS, Android"],
  ["Aegis", "Android"],
  ["Ente Auth", "iOS, Android, Windows, macOS, Linux"],
  ["FreeOTP", "iOS, Android"],
  ["1Password", "iOS, Android, Windows, macOS, Linux"],
  ["Bitwarden", "iOS, Android, Windows, macOS, Linux"],
  ["KeePassXC", "Windows, macOS, Linux"],
];

export function Apps(props: { algorithm: string; digits: number; period: number }) {
  const texts = useTexts();
  const [open] = useState(() => matchMedia("(min-width: 60rem)").matches); // to begin with; then as the reader leaves it
  const unusual = props.algorithm !== "SHA1" || props.digits !== 6 || props.period !== 30;
  return (
    <aside class="card side" aria-labelledby="apps-title">
      <details open={open}>
        <summary>
          <h2 id="apps-title">{texts.portal.apps}</h2>
        </summary>
        <p>{unusual ? fill(texts.portal.appsUnusual, props) : texts.portal.appsText}</p>
        {!unusual && (
          <ul class="apps">
            {apps.map(([name, runsOn]) => (
              <li key={name}>
                <span>{name}</span>
                <span class="hint">{runsOn}</span>
              </li>
            ))}
          </ul>
        )}
      </details>
    </aside>
  );
}
