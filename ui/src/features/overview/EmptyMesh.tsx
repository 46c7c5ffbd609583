/** Nothing is deployed in the mesh: what to do first. */
import { useText } from "../../app/language";
import { Command } from "../../shared/Command";
import { ENTER_SHELL, SendSteps, LET_IN } from "../../shared/FirstSteps";
import { Sailboat } from "../../shared/icons";

/** `kaiki env` says where the samples are; on a cluster one works in a checkout. */
const SAMPLES = '"${KAIKI_SAMPLES:-samples}"/bookinfo';

export function EmptyMesh() {
  const t = useText();
  return (
    <section className="first-visit empty-mesh">
      <Sailboat />
      <h2>{t("emptyMeshTitle")}</h2>
      <p>{t("emptyMeshText")}</p>
      <ol>
        <li>
          {t("emptyShell")}
          <Command text={ENTER_SHELL} />
        </li>
        <li>
          {t("emptyStep1")}
          <Command text={LET_IN} />
        </li>
        <li>
          {t("emptyMeshDeploy")}
          <Command text={`kubectl apply -f ${SAMPLES}/platform/bookinfo.yaml`} />
          <Command text={`kubectl apply -f ${SAMPLES}/networking/bookinfo-gateway.yaml`} />
          {t("emptyMeshWait")}
          <Command text="kubectl wait --for=condition=Available deployment --all --timeout=120s" />
        </li>
        <li>
          {t("emptySend")}
          <SendSteps />
        </li>
      </ol>
      <p className="soft">{t("emptyOwn")}</p>
      <Command text="kaiki run web --port 8080 -- python3 -m http.server 8080" />
    </section>
  );
}
