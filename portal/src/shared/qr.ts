// The server draws QR codes; here only its numbers are taken over, into elements of our own. No markup is ever inserted.

export interface QrPicture {
  side: number; // modules, with the quiet zone
  path: string; // the dark ones
}

export function readQr(svg: string): QrPicture | null {
  const side = /viewBox="0 0 (\d{1,4}) \1"/.exec(svg)?.[1];
  const path = /<path [^>]*\bd="([Mhvz0-9 -]+)"/.exec(svg)?.[1];
  return side && path ? { side: Number(side), path } : null;
}

// What stands in the page while the code is hidden: a pattern that looks like one and says nothing.
export function decoyQr(modules = 37): QrPicture {
  let path = "";
  let state = 0x2545f491;
  for (let y = 4; y < modules - 4; ++y) {
    for (let x = 4; x < modules - 4; ++x) {
      state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x1b873593;
      if ((state >>> 8) & 1) path += `M${x} ${y}h1v1h-1z`;
    }
  }
  return { side: modules, path };
}
