/** Who changes are made as; without an identity, how to give one. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { giveIdentity, type Me } from "../../api/client";
import { useText } from "../../app/language";
import { Icon } from "../../shared/icons";

export function IdentityNote({ me }: { me: Me | undefined }) {
  const t = useText();
  const queries = useQueryClient();
  const [token, setToken] = useState("");
  const give = useMutation({
    mutationFn: () => giveIdentity(token),
    onSuccess: (answer) => {
      setToken("");
      queries.setQueryData(["me"], answer);
    },
  });
  if (me === undefined) return null;
  if (me.canChange) {
    return (
      <p className="soft with-icon">
        <Icon name="lock" size={15} /> {t("changesAs", { user: me.user ?? "" })}
      </p>
    );
  }
  if (me.readOnly) {
    return (
      <div className="identity">
        <p>
          <strong>{t("readOnlyTitle")}</strong>
        </p>
        <p className="soft">{t("readOnlyConsole")}</p>
      </div>
    );
  }
  return (
    <form
      className="identity"
      onSubmit={(event) => {
        event.preventDefault();
        give.mutate();
      }}
    >
      <p>
        <strong>{t("readOnlyTitle")}</strong>
      </p>
      <p className="soft">{t("readOnlyHint")}</p>
      <label>
        <span className="hidden">{t("kubernetesToken")}</span>
        <input type="password" autoComplete="off" value={token} placeholder={t("kubernetesToken")} onChange={(event) => setToken(event.target.value)} />
      </label>
      <button type="submit" className="control" disabled={token === "" || give.isPending}>
        {t("useToken")}
      </button>
      {give.error !== null && <p role="alert">{give.error.message}</p>}
    </form>
  );
}
