// The page of a server.
import { start } from "./app.js";
import { server } from "./server.js";

start(server);
