/** What the proxy of one of its pods has in force. */
import type { SubjectDetails } from "../../api/pages";
import { useText } from "../../app/language";
import { Choice } from "../../shared/Choice";
import { ProxyConfig } from "../proxy/ProxyConfig";
import type { ChangeDetail, DetailAddress } from "./useDetailAddress";

export function ProxyTab({ data: { namespace, proxies, pods }, address, change }: { data: SubjectDetails; address: DetailAddress; change: ChangeDetail }) {
  const t = useText();
  const names = proxies?.map((proxy) => proxy.pod) ?? pods.map((pod) => pod.name);
  const pod = names.includes(address.pod) ? address.pod : names[0];
  if (pod === undefined) return <p className="page-note">{t("proxyNone")}</p>;
  return <ProxyConfig key={pod} namespace={namespace} pod={pod} choice={<Choice label={t("proxyOf")} value={pod} options={names} onChange={(value) => change({ pod: value })} />} />;
}
