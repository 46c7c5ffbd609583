import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import "@fontsource-variable/inter/wght.css";
import { QUERY_OPTIONS } from "../api/queries";
import { App } from "./App";
import { LanguageProvider } from "./language";
import "./styles.css";
import { restoreTheme } from "./theme";

const queries = new QueryClient({ defaultOptions: { queries: QUERY_OPTIONS } });

restoreTheme();
const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <LanguageProvider>
          <BrowserRouter>
            <App />
          </BrowserRouter>
        </LanguageProvider>
      </QueryClientProvider>
    </StrictMode>,
  );
}
