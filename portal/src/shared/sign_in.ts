// What the way back from the organisation's sign-in says in the address: "#error=sign_in_denied".
import { hrefOf } from "./route";
import type { Texts } from "./language";

export type SignInFailure = keyof Texts["shared"]["signInFailed"];
const failures: SignInFailure[] = ["provider_unavailable", "sign_in_expired", "sign_in_denied", "sign_in_invalid", "not_in_group"];

// Taken out of the address: a reload begins anew.
export function takeSignInFailure(): SignInFailure | null {
  const told = /^#error=(\w+)$/.exec(location.hash)?.[1];
  if (told === undefined) return null;
  history.replaceState(null, "", hrefOf());
  return failures.find((failure) => failure === told) ?? "sign_in_invalid";
}
