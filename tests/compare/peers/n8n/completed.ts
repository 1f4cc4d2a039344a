// Says how many executions n8n has kept as finished well: `node completed.ts DATABASE`.
import { DatabaseSync } from "node:sqlite";

const database = new DatabaseSync(process.argv[2], { readOnly: true });
const row = database.prepare("SELECT count(*) AS completed FROM execution_entity WHERE status = 'success'").get();
console.log(JSON.stringify(row));
