// A certified OpenID provider on a free port of loopback, for the tests of single sign-on.
//
// The first argument is JSON: `client` as the provider registers it, and `people`, claims by the
// name that is typed into its form. One line of JSON tells the port; the end of stdin ends it.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const { client, people } = JSON.parse(process.argv[2]);
const server = createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const { port } = server.address();

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [client],
  cookies: { keys: [randomBytes(32).toString('hex')] },
  jwks: {
    keys: [
      { ...rsa.export({ format: 'jwk' }), kid: 'rsa', use: 'sig' },
      { ...ec.export({ format: 'jwk' }), kid: 'ec', use: 'sig' },
    ],
  },
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name'],
    groups: ['groups'],
  },
  scopes: ['openid', 'email', 'profile', 'groups'],
  findAccount: (context, id) =>
    people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
});
server.on('request', provider.callback());
process.stdin.on('end', () => process.exit(0)).resume();
console.log(JSON.stringify({ port }));
