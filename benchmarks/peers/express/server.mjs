// A webhook receiver on Shopify's own Node stack: its middleware verifies, one INSERT, 200.
import express from 'express';
import pg from 'pg';
import {shopifyApp} from '@shopify/shopify-app-express';
import {MemorySessionStorage} from '@shopify/shopify-app-session-storage-memory';

const pool = new pg.Pool({
  host: process.env.BENCH_SOCKET, port: 5432, user: 'postgres', database: process.env.BENCH_DATABASE, max: 10,
});
const shopify = shopifyApp({
  api: {
    apiKey: 'bench', apiSecretKey: process.env.BENCH_SECRET, scopes: ['read_orders'], hostName: 'localhost',
    hostScheme: 'http', apiVersion: '2026-07', isEmbeddedApp: true, logger: {level: 0},
  },
  auth: {path: '/auth', callbackPath: '/auth/callback'},
  webhooks: {path: '/webhooks/shopify'},
  sessionStorage: new MemorySessionStorage(),
});
const app = express();
app.post('/webhooks/shopify', shopify.processWebhooks({
  webhookHandlers: {
    ORDERS_UPDATED: {
      deliveryMethod: 'http',
      callbackUrl: '/webhooks/shopify',
      callback: async (topic, shop, body, webhookId) => {
        await pool.query(
          'INSERT INTO peer_inbox (key, topic, shop, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING',
          [webhookId, topic, shop, Buffer.from(body)],
        );
      },
    },
  },
}));
app.listen(Number(process.env.PORT), '127.0.0.1');
