import type { Problem } from "../../api/client";
import { useText } from "../../app/language";
import { Icon } from "../../shared/icons";

export function ProblemList({ problems }: { problems: readonly Problem[] }) {
  const t = useText();
  if (problems.length === 0) {
    return (
      <p className="with-icon all-well" role="status">
        <Icon name="fit" size={15} /> {t("noProblems")}
      </p>
    );
  }
  return (
    <div role="status">
      <ul className="problems">
        {problems.map((problem) => (
          <li key={`${problem.line} ${problem.code} ${problem.message}`} className={`problem problem-${problem.severity}`}>
            <strong>
              {t(`severity.${problem.severity}`)} · {t("lineNumber", { line: problem.line })} {problem.code}
            </strong>
            <p>{problem.message}</p>
            {problem.hint !== "" && <p className="soft">{problem.hint}</p>}
          </li>
        ))}
      </ul>
    </div>
  );
}
