import { describe, expect, it } from "vitest";
import { grantCommands, missingRights } from "./rights";

const rights = { resource: "virtualservices", group: "networking.istio.io", namespace: "shop", create: true, update: false, delete: false };

describe("rights", () => {
  it("that are missing are told once for each kind and namespace", () => {
    const other = { ...rights, namespace: "default" };
    const found = missingRights([
      { rights, change: "create" },
      { rights, change: "update" },
      { rights: other, change: "update" },
      { rights, change: "delete" },
      { rights, change: "update" },
    ]);
    expect(found.map(({ namespace, changes }) => [namespace, changes])).toEqual([
      ["shop", ["update", "delete"]],
      ["default", ["update"]],
    ]);
  });
  it("are given with what the change needs, to users and service accounts, in a namespace or everywhere", () => {
    const missing = { resource: "virtualservices", group: "networking.istio.io", namespace: "shop", changes: ["update"] } as const;
    expect(grantCommands("jane@example.org", missing)).toEqual([
      "kubectl create role virtualservices-update -n shop --verb=get,update --resource=virtualservices.networking.istio.io",
      "kubectl create rolebinding virtualservices-update -n shop --role=virtualservices-update --user=jane@example.org",
    ]);
    expect(grantCommands("system:serviceaccount:default:robot", { ...missing, namespace: "" })[1]).toBe(
      "kubectl create clusterrolebinding virtualservices-update --clusterrole=virtualservices-update --serviceaccount=default:robot",
    );
  });
  it("are no way into a shell by a name", () => {
    expect(grantCommands("a'; rm -rf ~", { resource: "x", group: "y", namespace: "z", changes: ["delete"] })[1]).toContain(`--user='a'\\''; rm -rf ~'`);
  });
});
