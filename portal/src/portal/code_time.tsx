// How long the code that a right phone shows now is still shown: a ring that empties, and the seconds in words.
import { useEffect, useState } from "preact/hooks";
import { secondsLeft, serverClock } from "../shared/clock";
import { fill, useTexts } from "../shared/language";

const soonS = 6;
const circumference = 2 * Math.PI * 9;

export function CodeTime({ period }: { period: number }) {
  const texts = useTexts();
  const [left, setLeft] = useState(() => secondsLeft(serverClock.now(), period));
  useEffect(() => {
    const timer = setInterval(() => setLeft(secondsLeft(serverClock.now(), period)), 250);
    return () => clearInterval(timer);
  }, [period]);
  const soon = left < soonS;
  return (
    <span class={soon ? "code-time soon" : "code-time"} role="timer" aria-live="off">
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <circle cx="12" cy="12" r="9" class="ring-ground" />
        <circle
          cx="12"
          cy="12"
          r="9"
          class="ring"
          stroke-dasharray={circumference}
          stroke-dashoffset={circumference * (1 - left / period)}
          transform="rotate(-90 12 12)"
        />
      </svg>
      {fill(soon ? texts.portal.codeSoon : texts.portal.codeLeft, { s: left })}
    </span>
  );
}
