import { lazy, Suspense } from "react";
import { Navigate, NavLink, Route, Routes } from "react-router";
import { GraphPage } from "../features/graph/GraphPage";
import { CardinalityNotice } from "../shared/CardinalityNotice";
import { Icon, Sailboat } from "../shared/icons";
import { useLanguage } from "./language";
import type { TextKey } from "./texts";
import { toggleTheme } from "./theme";

const WorkloadsPage = lazy(() => import("../features/workloads/WorkloadsPage"));
const WorkloadPage = lazy(() => import("../features/workloads/WorkloadPage"));
const ServicesPage = lazy(() => import("../features/services/ServicesPage"));
const ConfigPage = lazy(() => import("../features/config/ConfigPage"));
const ObjectPage = lazy(() => import("../features/config/ObjectPage"));
const WizardPage = lazy(() => import("../features/config/WizardPage"));
const RequestsPage = lazy(() => import("../features/requests/RequestsPage"));
const ChangesPage = lazy(() => import("../features/config/ChangesPage"));

const PAGES: readonly { path: string; text: TextKey; icon: "graph" | "workload" | "service" | "config" | "clock" | "table" }[] = [
  { path: "/graph", text: "graph", icon: "graph" },
  { path: "/workloads", text: "workloads", icon: "workload" },
  { path: "/services", text: "services", icon: "service" },
  { path: "/requests", text: "requestLog", icon: "table" },
  { path: "/config", text: "config", icon: "config" },
  { path: "/changes", text: "configChanges", icon: "clock" },
];

export function App() {
  const { t, language, setLanguage } = useLanguage();
  return (
    <div className="shell">
      <a className="skip" href="#content">
        {t("skip")}
      </a>
      <header className="rail">
        <NavLink to="/graph" className="brand" aria-label="Kaiki">
          <Sailboat />
        </NavLink>
        <nav aria-label={t("navigation")}>
          {PAGES.map((page) => (
            <NavLink key={page.path} to={page.path} className="rail-link">
              <Icon name={page.icon} />
              <span>{t(page.text)}</span>
            </NavLink>
          ))}
        </nav>
        <div className="rail-end">
          <button type="button" className="rail-link" onClick={() => setLanguage(language === "ko" ? "en" : "ko")} title={t("language")}>
            <Icon name="language" />
            <span lang={language === "ko" ? "en" : "ko"}>{t("languageShort")}</span>
          </button>
          <button type="button" className="icon-button" onClick={toggleTheme} aria-label={t("theme")} title={t("theme")}>
            <Icon name="theme" />
          </button>
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        <CardinalityNotice />
        <Suspense fallback={<p className="page-note">{t("loading")}</p>}>
          <Routes>
            <Route path="/graph" element={<GraphPage />} />
            <Route path="/workloads" element={<WorkloadsPage />} />
            <Route path="/workloads/:namespace/:name" element={<WorkloadPage />} />
            <Route path="/services" element={<ServicesPage />} />
            <Route path="/requests" element={<RequestsPage />} />
            <Route path="/config" element={<ConfigPage />} />
            <Route path="/config/object" element={<ObjectPage />} />
            <Route path="/config/wizard" element={<WizardPage />} />
            <Route path="/config/new" element={<ObjectPage fresh />} />
            <Route path="/changes" element={<ChangesPage />} />
            <Route path="*" element={<Navigate to="/graph" replace />} />
          </Routes>
        </Suspense>
      </main>
    </div>
  );
}
