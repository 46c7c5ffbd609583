/** Pods with their containers, and their proxies with configuration state and certificate. */
import { Link } from "react-router";
import type { Proxy, SubjectDetails, SubjectPod } from "../../api/pages";
import { useLanguage, useText } from "../../app/language";
import { ProxyState } from "../mesh/ProxyState";
import { CertificateCell } from "../mesh/CertificateCell";
import { formatMoment } from "../../domain/format";
import { detailsAddress } from "../overview/words";

export function PodsTab({ data: { pods, proxies, namespace, kind } }: { data: SubjectDetails }) {
  const { t, language } = useLanguage();
  if (pods.length === 0) return <p className="page-note">{t("noPods")}</p>;
  return (
    <>
      <section>
        <h2>{t("pods")}</h2>
        <div className="table-frame" tabIndex={0} role="region" aria-label={t("pods")}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("name")}</th>
                {kind !== "workload" && <th scope="col">{t("kind.workload")}</th>}
                <th scope="col">{t("phase")}</th>
                <th scope="col">{t("containers")}</th>
                <th scope="col" className="number">
                  {t("restarts")}
                </th>
                <th scope="col">{t("revision")}</th>
                <th scope="col">{t("address")}</th>
                <th scope="col">{t("started")}</th>
                <th scope="col">
                  <span className="hidden">{t("logs")}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {pods.map((pod) => (
                <tr key={pod.name}>
                  <td>{pod.name}</td>
                  {kind !== "workload" && (
                    <td>
                      <Link to={detailsAddress("workload", namespace, pod.workload)}>{pod.workload}</Link>
                    </td>
                  )}
                  <td>{pod.phase}</td>
                  <td>
                    <Containers pod={pod} />
                    {pod.loopbackPorts.length > 0 && (
                      <p className="notice">{t("loopbackOnly", { ports: pod.loopbackPorts.join(", ") })}</p>
                    )}
                  </td>
                  <td className="number">{pod.containers.reduce((sum, container) => sum + container.restarts, 0)}</td>
                  <td>
                    {pod.revision} {pod.template !== "" && <code className="soft">{pod.template}</code>}
                  </td>
                  <td>
                    <code>{pod.address}</code>
                  </td>
                  <td className="soft">{pod.started === "" ? "–" : formatMoment(pod.started, language)}</td>
                  <td>
                    <Link to={`?tab=logs&pod=${encodeURIComponent(pod.name)}`}>{t("logs")}</Link>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </section>
      <section>
        <h2>{t("proxies")}</h2>
        {proxies === null ? (
          <p className="notice">{t("proxyUnknown")}</p>
        ) : proxies.length === 0 ? (
          <p className="soft">{t("noProxies")}</p>
        ) : (
          <ProxyTable proxies={proxies} />
        )}
      </section>
    </>
  );
}

function Containers({ pod }: { pod: SubjectPod }) {
  const t = useText();
  return pod.containers.map((container) => (
    <span key={container.name} className={container.ready || container.reason === "Completed" ? "container" : "container waiting"}>
      {container.name}: {t(`state.${container.state}`)} {container.reason}
      {container.restarts > 0 && <span className="soft"> · {t("restartCount", { count: container.restarts })}</span>}
    </span>
  ));
}

function ProxyTable({ proxies }: { proxies: Proxy[] }) {
  const t = useText();
  return (
    <div className="table-frame" tabIndex={0} role="region" aria-label={t("proxies")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("pod")}</th>
            <th scope="col">{t("proxyConfig")}</th>
            <th scope="col">{t("version")}</th>
            <th scope="col">{t("certificate")}</th>
            <th scope="col">{t("identities")}</th>
          </tr>
        </thead>
        <tbody>
          {proxies.map((proxy) => (
            <tr key={proxy.pod}>
              <td>
                <Link to={`?tab=proxy&pod=${encodeURIComponent(proxy.pod)}`}>{proxy.pod}</Link>
              </td>
              <td>
                <ProxyState proxy={proxy} />
              </td>
              <td>{proxy.version}</td>
              <td>
                <CertificateCell certificate={proxy.certificate} />
              </td>
              <td>
                <code>{proxy.certificate?.identity ?? "–"}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
