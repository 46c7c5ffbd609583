/** Commands that bring a mesh to life, said alike wherever there is nothing to show yet. */
import { useText } from "../app/language";
import { Command } from "./Command";

export const ENTER_SHELL = 'eval "$(kaiki env)"';
export const LET_IN = "kubectl label namespace default istio-injection=enabled --overwrite";

export function SendSteps() {
  const t = useText();
  return (
    <>
      <Command text={'curl -i "$KAIKI_GATEWAY_URL/productpage"'} />
      <p className="soft">{t("emptyCluster")}</p>
      <Command text="kubectl get svc -n istio-system istio-ingressgateway" />
    </>
  );
}
