// An org made of oidc-provider, a certified OAuth server: Salesforce's paths, and what only Salesforce adds.
// It runs in the folder where oidc-provider is installed, is told in one JSON argument what to be, and prints its
// address. GET /asked lists what it was asked.
import { hash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const installed = createRequire(`${process.cwd()}/`);
const { Provider } = installed('oidc-provider');
const { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } = installed('jose');
const { orgId, userIds, runAs, scopes, clients, pkceRequired } = JSON.parse(process.argv[2]);

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const url = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(url, {
  clients,
  scopes,
  routes: {
    authorization: '/services/oauth2/authorize',
    token: '/services/oauth2/token',
    userinfo: '/services/oauth2/userinfo',
    introspection: '/services/oauth2/introspect',
  },
  pkce: { required: (ctx, client) => pkceRequired.includes(client.clientId) },
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
  },
  issueRefreshToken: (ctx, client, source) => source.scopes.has('refresh_token'),
  findAccount: (ctx, username) => ({ accountId: username, claims: () => ({ sub: username }) }),
});

const asked = [];

const find = async (value) => {
  if (!value) return undefined;
  return (await provider.AccessToken.find(value)) ?? provider.ClientCredentials.find(value);
};

// The token of a request to a resource, if it is a bearer, or bound to the key that the request proves.
const holder = async (ctx) => {
  const [scheme, value] = ctx.get('authorization').split(' ');
  const token = await find(value);
  if (!token?.jkt) return scheme === 'Bearer' ? token : undefined;
  if (scheme !== 'DPoP') return undefined;
  const { payload, protectedHeader } = await jwtVerify(ctx.get('dpop'), EmbeddedJWK, {
    algorithms: ['ES256'], maxTokenAge: 60, typ: 'dpop+jwt',
  });
  const fits = payload.htm === ctx.method && payload.htu === `${url}${ctx.path}`
    && payload.ath === hash('sha256', value, 'base64url')
    && token.jkt === await calculateJwkThumbprint(protectedHeader.jwk);
  return fits ? token : undefined;
};

const form = async (ctx) => {
  const chunks = [];
  for await (const chunk of ctx.req) chunks.push(chunk);
  return Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
};

const resources = {
  async '/services/oauth2/userinfo'(ctx, next) {
    let token;
    if (ctx.get('dpop')) {
      // The provider's own judgement of token and proof; what it would say to a user is not Salesforce's.
      await next();
      if (ctx.status !== 200) return;
      token = ctx.oidc.accessToken;
    } else {
      token = await holder(ctx);
    }
    const username = token?.accountId ?? runAs;
    ctx.status = token ? 200 : 403;
    ctx.body = token
      ? { user_id: userIds[username], organization_id: orgId, preferred_username: username }
      : 'Bad_OAuth_Token';
  },

  async '/services/oauth2/revoke'(ctx) {
    const token = await find((await form(ctx)).token);
    await token?.destroy();
    ctx.status = token ? 200 : 400;
    ctx.body = token ? '' : { error: 'invalid_token', error_description: 'token is invalid' };
  },

  async '/services/data/v66.0/'(ctx) {
    const token = await holder(ctx);
    ctx.status = token ? 200 : 401;
    ctx.body = token ? { sobjects: '/services/data/v66.0/sobjects' } : [{ errorCode: 'INVALID_SESSION_ID' }];
  },

  async '/asked'(ctx) {
    ctx.body = asked;
  },
};

provider.use(async (ctx, next) => {
  const resource = resources[ctx.path];
  if (ctx.path.startsWith('/login/')) return ctx.redirect(ctx.path.replace('/login/', '/interaction/'));
  await (resource ? resource(ctx, next) : next());
  if (ctx.path === '/asked') return;
  // Salesforce's pages to sign in on have a path that says so.
  const location = ctx.response.get('location');
  if (location?.startsWith('/interaction/')) ctx.set('location', location.replace('/interaction/', '/login/'));
  asked.push({ path: ctx.path, query: ctx.query, form: ctx.oidc?.body ?? {}, status: ctx.status });
  if (ctx.path === '/services/oauth2/token' && ctx.status === 200) {
    const { account, client } = ctx.oidc;
    ctx.body = {
      scope: client.scope,
      ...ctx.body,
      id: `${url}/id/${orgId}/${userIds[account?.accountId ?? runAs]}`,
      instance_url: url,
      issued_at: String(Date.now()),
    };
  }
});

server.on('request', provider.callback());
console.log(url);
