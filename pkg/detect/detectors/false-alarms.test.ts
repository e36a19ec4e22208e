import { describe, expect, test } from '@jest/globals';
import { fold } from '../fold/index.ts';
import { found } from './brute-force.ts';
import { detectors } from './index.ts';

/** Harmless texts as models write them, each with something that resembles a secret or a person's data. */
const benign: Readonly<Record<string, readonly string[]>> = {
  English: [
    'The meeting was moved from 2024-11-21 to 2024-12-05 at 10:30, in room 12.4 on the 3rd floor.',
    'Revenue rose 12.5% to $1,234,567.89 in Q3 2024, up from $1,100,000 a year before (p < 0.001).',
    'Passwords should be at least 12 characters long; never reuse a password, and store each secret in a vault.',
    'The token is a unit of text: a model reads 128000 tokens, about 96,000 words, at once.',
    'In 1969, 1970 and 1971 the agency launched 12 14 and 9 probes; 2020 2021 2022 2023 2024 were quieter.',
    'Section 3.1.2.4 amends clause 1.2.3.4 of the 2019 edition; see pages 102-155 and 1203.',
    'Call me tomorrow, or text me. The phone has 8 GB of memory and a 6.1-inch screen, model SM-G991B.',
    'His book, ISBN 978-3-16-148410-0 (also 0-306-40615-2), sold 1,000,000 copies between 1990-2000.',
    'Multiply 123456789 by 987654321 to get 121932631112635269; the square root of 2 is 1.4142135623730951.',
    'The coordinates are 52.5200066, 13.4049540 and the elevation 34 m. The score was 6-4 3-6 7-6.',
    'Pi is 3.14159265358979323846264338327950288419716939937510 and so on.',
    'Order 100234-887 shipped on 11/21/2024; tracking number 1Z999AA10123456784, invoice INV-2024-000123.',
    'My secret? Good coffee. The key: patience. Authorization: pending review by the board.',
    'Add 2 1/2 cups of flour, 1 3/4 tsp salt and 350 ml water; bake at 180-200 degrees for 35-40 minutes.',
    'The basic token economy: bearer of good news, keeper of the keys, passed over in silence.',
    'Flight LH 1234 departs 08:15 from gate A23, seat 14C; booking code X7K9PQ.',
    'ACT I, scene 2. Exit AKIA, enter ASIA PACIFIC delegation with great ceremony and INTERNATIONALIZATION.',
  ],
  code: [
    'const token = await getToken();\nif (token === undefined) throw new Error("no token");',
    'password = getpass.getpass("Password: ")\napi_key = os.environ["OPENAI_API_KEY"]',
    'interface Session { token: string; secret: Uint8Array; password: string | null; apiKey?: string }',
    'def login(self, password: str, token: Optional[str] = None) -> bool:\n    return self.check(password)',
    'std::vector<std::string> v; a::b c; for (auto x : v) face::bad(x);',
    'let x = list[::1]; let y = list[1::2]; print(x[::-1])',
    'func (s *Server) Auth(token string) error { secret := s.config.Secret; return check(token, secret) }',
    '@app.route("/users/<int:id>")\n@login_required\ndef user(id): pass',
    'SELECT id, created_at FROM users WHERE password = $1 AND token = $2 LIMIT 100;',
    'git commit da39a3ee5e6b4b0d3255bfef95601890afd80709\nparent 3f786850e387550fdab836ed7e6dc881de23001b',
    'npm i left-pad@1.3.0 @types/node@26.6.6 react@18.2.0-rc.1',
    '<input type="password" name="password" placeholder="Enter password" autocomplete="current-password">',
    '#include <stdint.h>\nuint32_t crc = 0xDEADBEEF; uint64_t big = 0x0123456789ABCDEF;',
    'color: #ff00aa; margin: 0 auto; transform: translate(10.5px, 20.25px); width: calc(100% - 1234567890px);',
    '<svg viewBox="0 0 24 24"><path d="M12 2C6.48 2 2 6.48 2 12s4.48 10 10 10 10-4.48 10-10S17.52 2 12 2z"/></svg>',
    'expect(sha256("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");',
    'background: url(data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==);',
    'const re = /^[\\w.+-]+@[\\w-]+\\.[\\w.]+$/; // e-mail\nconst card = /^\\d{4}-\\d{4}$/;',
    'for i in range(0, 1000000, 12345): total += i ** 2 / 3.0e10',
    'password: ${{ secrets.DB_PASSWORD }}\ntoken: ${{ github.token }}\napi_key: <your key here>',
    'import { tokenize, secretSanta } from "./party";\nconst icons = ["logo@2x.png", "logo@3x.png"];',
    'MOV EAX, 0FFFFFFFFh\nADD EBX, 12345678h\nINT 80h',
  ],
  logs: [
    '2024-11-21T10:20:30.123456Z INFO  server started in 1234567 us, pid=4321, version=1.2.3',
    '{"lat": 21.470165824159, "lon": -86.004767737433}',
    'ann: fine, I was born ready\nbob: meeting moved from 2024-11-21 10:30 to 12:45',
    'the project was born as build 20241121.3 of the old one',
    '[1700000000.123456] kernel: usb 1-1.4: new high-speed USB device number 12 using xhci_hcd',
    'trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7 duration=12.345ms status=200',
    'GC(123) Pause Young (Normal) 512M->128M(1024M) 12.345ms at 1700000000123',
    'nginx/1.25.3 "GET /api/v1/users?page=2&limit=100 HTTP/1.1" 200 1234 "-" "curl/8.4.0"',
    'Downloaded 123456789 bytes in 12.34 s (10004602 B/s), md5 d41d8cd98f00b204e9800998ecf8427e',
    'worker-7f9c6d5b8-x2x4k 1/1 Running 0 12d; image sha256:9b2f0c1d3e4a5b6c7d8e9f00112233445566778899aabbccddeeff0011223344',
    'SSH fingerprint MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48 SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8',
    'Chrome/118.0.5993.70 Safari/537.36 build 19045.3693 OID 1.3.6.1.4.1.311.21.20',
    'ETag: "33a64df551425fcc55e4d42a148795d9f25f89d4", Content-Length: 20481234, Max-Age=31536000',
    'prompt_tokens=1234 completion_tokens=567 total_tokens=1801 max_tokens: 4096 token_type: bearer',
  ],
  JSON: [
    '{"id":"550e8400-e29b-41d4-a716-446655440000","created":1700000000,"model":"gpt-4o-mini-2024-07-18"}',
    '{"usage":{"prompt_tokens":12345678,"total_tokens":12345699},"nextPageToken":"CAUQAA12345678"}',
    '{"lat":52.520006599999,"lon":13.404953999999,"bbox":[13.0883450,52.3382448,13.7611609,52.6755087]}',
    '{"version":3,"sources":["a.ts"],"mappings":"AAAA,SAASA,IAAIC,GACX,OAAOA,EAAI,CACb"}',
    '{"password":{"type":"string","minLength":12},"token":{"type":"string","format":"jwt"},"secret":true}',
    '{"embedding":[0.0023064255,-0.009327292,0.015797347,-0.0077780345,0.4111111111111111,1.2345678901234567e-05]}',
    '{"phone":null,"ssn":null,"email":"","card":{"last4":"1111","brand":"visa","exp":"12/2029"}}',
    '{"ean":"4006381333931","sku":"0123-456789-A","price":"0.99","qty":100}',
  ],
  other: [
    'Am 21.11.2024 um 10:30 Uhr kostet das Angebot 1.234.567,89 EUR, gültig bis 01.02.2025 bzw. KW 05/2025.',
    'Das Passwort ist zu kurz, das Kennwort ungültig. Bitte wählen Sie ein neues Passwort: mindestens zwölf Zeichen.',
    'Straße des 17. Juni 135, 10623 Berlin; Öffnungszeiten 09:00-18:30, Telefon siehe Aushang 2024.',
    'Le mot de passe est obligatoire. Il a coûté 1 234 567,89 € le 01/02/2024 à 10 h 30, article 12-3.',
    'La contraseña es obligatoria: debe tener 12 caracteres. El 21/11/2024 se vendieron 1.234.567 unidades.',
    'Встреча перенесена с 21.11.2024 на 05.12.2024, в 10:30. Население города 1 234 567 человек, рост 12,5 %.',
    'Пароль обязателен, токен недействителен. В 2020 2021 2022 2023 годах выпущено 15 000 000 экземпляров.',
    'Обезболивающее действует 8-12 часов; требуется обращение к врачу: кабинет 305, этаж 3.',
    '会议从2024年11月21日改到12月5日上午10点30分，地点在3楼12号房间，共有1234567人报名。',
    '密码必须至少12个字符。价格是￥1,234,567.89元，增长了12.5%。版本号1.2.3，第3.1.2节。',
    '東京タワーの高さは333メートル、1958年12月23日に完成しました。入場料は1,200円です（税込）。',
    '비밀번호는 12자 이상이어야 합니다. 2024년 11월 21일 오전 10시 30분, 참가자 1,234,567명.',
    'الاجتماع يوم ٢١ نوفمبر ٢٠٢٤ الساعة ١٠:٣٠ والسعر ١٬٢٣٤٫٥٦ درهم.',
    'बैठक २१ नवंबर २०२४ को १०:३० बजे है, कीमत १,२३,४५६ रुपये।',
    'Ο κωδικός πρόσβασης είναι υποχρεωτικός· η τιμή είναι 1.234.567,89 € από 01/02/2024.',
    'הסיסמה נדרשת. הפגישה ב-21.11.2024 בשעה 10:30, קומה 3, חדר 12.',
    'Toplantı 21.11.2024 saat 10:30’da; parola en az 12 karakter olmalıdır, fiyat 1.234,56 ₺.',
    'x² + y³ = z⁴; ½ + ¼ = ¾; ∑ 1/n² = π²/6 ≈ 1.6449340668; ① first ② second ③ third — done…',
    '😀 10/10 👍🏽 1️⃣ 2️⃣ 3️⃣ go! 🇩🇪 2 : 1 🇫🇷 (90+3′)',
  ],
};

describe('harmless text', () => {
  const cases = Object.entries(benign).flatMap(([kind, texts]) => texts.map((text) => [kind, text] as const));

  test('there is enough of it', () => {
    expect(cases.length).toBeGreaterThanOrEqual(60);
  });

  test.each(cases)('%s gives no finding: %s', (_kind, text) => {
    const folded = fold(text).text;
    expect(detectors.flatMap((detector) => found(detector, folded).map((one) => `${detector.name}: ${one}`))).toEqual(
      [],
    );
  });
});
