/** Two texts line by line: signs and hidden words say what colours show. */
import { useText } from "../../app/language";
import { diffLines } from "../../domain/diff";

export function Difference({ before, after }: { before: string; after: string }) {
  const t = useText();
  const signs = { same: " ", added: "+", removed: "−" };
  return (
    <pre className="source diff" tabIndex={0} aria-label={t("difference")}>
      {diffLines(before, after).map((line, index) => (
        <div key={index} className={`diff-${line.kind}`}>
          <span aria-hidden="true">{signs[line.kind]} </span>
          {line.kind !== "same" && <span className="hidden">{t(`diff.${line.kind}`)}: </span>}
          {line.text}
        </div>
      ))}
    </pre>
  );
}
