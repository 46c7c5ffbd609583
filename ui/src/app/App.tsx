import { lazy, Suspense } from "react";
import { Navigate, NavLink, Route, Routes, useLocation } from "react-router";
import { GraphPage } from "../features/graph/GraphPage";
import { PaletteButton } from "../features/palette/PaletteButton";
import { LogOut } from "../features/access/LogOut";
import { SessionEnded } from "../features/access/SessionEnded";
import { CardinalityNotice } from "../shared/CardinalityNotice";
import { Icon, Sailboat, type IconName } from "../shared/icons";
import { useEvents } from "../shared/useEvents";
import { useLanguage } from "./language";
import type { TextKey } from "./texts";
import { toggleTheme } from "./theme";

const SummaryPage = lazy(() => import("../features/overview/SummaryPage"));
const DetailPage = lazy(() => import("../features/details/DetailPage"));
const VersionsPage = lazy(() => import("../features/versions/VersionsPage"));
const TracePage = lazy(() => import("../features/traces/TracePage"));
const MeshPage = lazy(() => import("../features/mesh/MeshPage"));
const ProxyPage = lazy(() => import("../features/proxy/ProxyPage"));
const ConfigPage = lazy(() => import("../features/config/ConfigPage"));
const ObjectPage = lazy(() => import("../features/config/ObjectPage"));
const WizardPage = lazy(() => import("../features/config/WizardPage"));
const RequestsPage = lazy(() => import("../features/requests/RequestsPage"));
const ExplainPage = lazy(() => import("../features/explain/ExplainPage"));
const ChangesPage = lazy(() => import("../features/config/ChangesPage"));

const PAGES: readonly { path: string; text: TextKey; icon: IconName; also?: readonly string[] }[] = [
  { path: "/graph", text: "graph", icon: "graph" },
  { path: "/overview", text: "overview", icon: "app", also: ["/apps", "/workloads", "/services"] },
  { path: "/requests", text: "requestLog", icon: "table" },
  { path: "/explain", text: "explainRequest", icon: "route" },
  { path: "/config", text: "config", icon: "config" },
  { path: "/changes", text: "configChanges", icon: "clock" },
  { path: "/mesh", text: "mesh", icon: "service", also: ["/proxies"] },
];

/** The graph follows events of its own. */
function Following() {
  useEvents(null);
  return null;
}

export function App() {
  const { t, language, setLanguage } = useLanguage();
  const { pathname } = useLocation();
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
            <NavLink key={page.path} to={page.path} className={({ isActive }) => (isActive || page.also?.some((path) => pathname.startsWith(path)) === true ? "rail-link active" : "rail-link")}>
              <Icon name={page.icon} />
              <span>{t(page.text)}</span>
            </NavLink>
          ))}
        </nav>
        <div className="rail-end">
          <PaletteButton />
          <button type="button" className="rail-link" onClick={() => setLanguage(language === "ko" ? "en" : "ko")} title={t("language")}>
            <Icon name="language" />
            <span lang={language === "ko" ? "en" : "ko"}>{t("languageShort")}</span>
          </button>
          <button type="button" className="icon-button" onClick={toggleTheme} aria-label={t("theme")} title={t("theme")}>
            <Icon name="theme" />
          </button>
          <LogOut />
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        {pathname !== "/graph" && <Following />}
        <SessionEnded />
        <CardinalityNotice />
        <Suspense fallback={<p className="page-note">{t("loading")}</p>}>
          <Routes>
            <Route path="/graph" element={<GraphPage />} />
            <Route path="/overview" element={<SummaryPage key="namespace" by="namespace" />} />
            <Route path="/apps" element={<SummaryPage key="app" by="app" />} />
            <Route path="/workloads" element={<SummaryPage key="workload" by="workload" />} />
            <Route path="/services" element={<SummaryPage key="service" by="service" />} />
            <Route path="/apps/:namespace/:name" element={<DetailPage kind="app" />} />
            <Route path="/apps/:namespace/:name/versions" element={<VersionsPage />} />
            <Route path="/workloads/:namespace/:name" element={<DetailPage kind="workload" />} />
            <Route path="/services/:namespace/:name" element={<DetailPage kind="service" />} />
            <Route path="/traces/:trace" element={<TracePage />} />
            <Route path="/proxies/:namespace/:pod" element={<ProxyPage />} />
            <Route path="/mesh" element={<MeshPage />} />
            <Route path="/requests" element={<RequestsPage />} />
            <Route path="/explain" element={<ExplainPage />} />
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
