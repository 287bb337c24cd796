// Where the person is in the registration.
import { fill, useTexts } from "../shared/language";

export function Steps({ at }: { at: 1 | 2 }) {
  const texts = useTexts();
  const names = [texts.portal.nameTitle, texts.portal.configTitle];
  return (
    <ol class="steps" aria-label={texts.portal.steps}>
      {names.map((name, i) => (
        <li key={name} aria-current={i + 1 === at ? "step" : undefined} class={i + 1 < at ? "done" : ""}>
          <span class="visually-hidden">{fill(texts.portal.step, { n: i + 1, of: names.length })}: </span>
          {name}
        </li>
      ))}
    </ol>
  );
}
