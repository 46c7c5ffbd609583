/** The configuration objects that touch it, why they do, and what was found wrong with them. */
import { Link } from "react-router";
import type { SubjectDetails } from "../../api/pages";
import { useText } from "../../app/language";
import { objectAddress } from "../../domain/configAddress";
import { Icon } from "../../shared/icons";

export function ConfigTab({ data: { configs, kind, namespace, name } }: { data: SubjectDetails }) {
  const t = useText();
  const wizard = kind === "service" ? `?service=${encodeURIComponent(`${namespace}/${name}`)}` : "";
  return (
    <section>
      <div className="section-head">
        <h2>{t("configTouching")}</h2>
        <Link className="control" to={`/config/wizard${wizard}`}>
          <Icon name="route" size={15} /> {t("wizard")}
        </Link>
      </div>
      {configs.length === 0 ? (
        <p className="soft">{t("noConfig")}</p>
      ) : (
        <div className="table-frame" tabIndex={0} role="region" aria-label={t("configTouching")}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("kind")}</th>
                <th scope="col">{t("name")}</th>
                <th scope="col">{t("namespace")}</th>
                <th scope="col">{t("reason")}</th>
                <th scope="col">{t("findings")}</th>
              </tr>
            </thead>
            <tbody>
              {configs.map((item) => (
                <tr key={`${item.apiVersion}/${item.kind}/${item.namespace}/${item.name}`}>
                  <td>{item.kind}</td>
                  <td>
                    <Link to={objectAddress(item)}>{item.name}</Link>
                  </td>
                  <td>{item.namespace}</td>
                  <td className="soft">{t(`touch.${item.reason}`)}</td>
                  <td>
                    {item.findings.length === 0 ? (
                      <span className="soft">–</span>
                    ) : (
                      item.findings.map((finding) => (
                        <span key={finding.code + finding.path} className={`with-icon ${finding.level === "ERROR" ? "bad" : "finding-mark"}`}>
                          <Icon name="warning" size={15} /> {finding.code} <code>{finding.path}</code>
                        </span>
                      ))
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
