/** The way out, named by whom it is for. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { logOut } from "../../api/access";
import { fetchMe } from "../../api/client";
import { useText } from "../../app/language";
import { Icon } from "../../shared/icons";

export function LogOut() {
  const t = useText();
  const me = useQuery({ queryKey: ["me"], queryFn: ({ signal }) => fetchMe(signal), staleTime: 60_000, retry: false });
  const leave = useMutation({ mutationFn: logOut, onSuccess: ({ location }) => window.location.assign(location) });
  const user = me.data?.user ?? null;
  const label = user === null ? t("logOut") : t("logOutAs", { user });
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} disabled={leave.isPending} onClick={() => leave.mutate()}>
      <Icon name="logOut" />
    </button>
  );
}
