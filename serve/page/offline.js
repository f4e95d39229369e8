// The page that needs no server.
import { start } from "./app.js";
import { local } from "./local.js";

start(local);
