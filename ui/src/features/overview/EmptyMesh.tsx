/** Nothing is deployed in the mesh: what to do first. */
import { useText } from "../../app/language";
import { Command } from "../../shared/Command";
import { Sailboat } from "../../shared/icons";

export function EmptyMesh() {
  const t = useText();
  return (
    <section className="first-visit empty-mesh">
      <Sailboat />
      <h2>{t("emptyMeshTitle")}</h2>
      <p>{t("emptyMeshText")}</p>
      <ol>
        <li>
          {t("emptyStep1")}
          <Command text="kubectl label namespace default istio-injection=enabled" />
        </li>
        <li>
          {t("emptyMeshDeploy")}
          <Command text="kubectl apply -f samples/bookinfo/platform/bookinfo.yaml" />
          <Command text="kubectl apply -f samples/bookinfo/networking/bookinfo-gateway.yaml" />
          <Command text="kaiki run web --port 8080 -- python3 -m http.server 8080" />
        </li>
        <li>
          {t("emptyStep3")}
          <Command text={'eval "$(kaiki env)"; curl -i "$KAIKI_GATEWAY_URL/productpage"'} />
        </li>
      </ol>
    </section>
  );
}
