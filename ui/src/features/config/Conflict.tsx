/** Somebody saved first: what stands there now against one's own text, and both ways on. */
import { useQuery } from "@tanstack/react-query";
import { fetchObject } from "../../api/client";
import { useText } from "../../app/language";
import type { ObjectPlace } from "../../domain/configAddress";
import { Difference } from "./Difference";

interface Properties {
  place: ObjectPlace;
  text: string;
  loadNewest: () => void;
  saveOver: (resourceVersion: string) => void;
}

export function Conflict({ place, text, loadNewest, saveOver }: Properties) {
  const t = useText();
  const newest = useQuery({ queryKey: ["object now", place], queryFn: ({ signal }) => fetchObject(place, signal), gcTime: 0, staleTime: 0, retry: false });
  return (
    <>
      {newest.error !== null && <p>{newest.error.message === "" ? t("consoleUnreachable") : newest.error.message}</p>}
      {newest.data !== undefined && (
        <>
          <p>{t("conflictDifference")}</p>
          <Difference before={newest.data.yaml} after={text} />
        </>
      )}
      <p className="object-tools">
        <button type="button" className="control" onClick={loadNewest}>
          {t("loadNewest")}
        </button>
        {newest.data !== undefined && (
          <button type="button" className="control danger" onClick={() => saveOver(newest.data.resourceVersion)}>
            {t("saveOver")}
          </button>
        )}
      </p>
    </>
  );
}
