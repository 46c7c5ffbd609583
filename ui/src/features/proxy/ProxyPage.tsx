/** The page of one proxy: everything it has in force. */
import { Link, useParams } from "react-router";
import { useText } from "../../app/language";
import "../../app/pages.css";
import { ProxyConfig } from "./ProxyConfig";

export default function ProxyPage() {
  const t = useText();
  const { namespace = "", pod = "" } = useParams();
  return (
    <div className="list-page">
      <title>{`${pod} · Kaiki`}</title>
      <header className="list-head detail-head">
        <div className="detail-title">
          <p className="soft">
            <Link to="/mesh">{t("mesh")}</Link> / {t("proxyPage")}
          </p>
          <h1>{pod}</h1>
        </div>
      </header>
      <div className="details">
        <ProxyConfig namespace={namespace} pod={pod} />
      </div>
    </div>
  );
}
