// The page's own words, in each language. What the server says, and the names of classes, stay as they are.

const KEPT = "gaia-language";

const TEXTS = {
  en: {
    percent: (value) => share(value),
    plain: (value) => number(value),
    ranged: (value, low, high) => `${number(value, 3)} (${number(low, 3)} – ${number(high, 3)})`,
    at: (iso) => time(iso),
    clock: (iso) => new Intl.DateTimeFormat(region(), { timeStyle: "short" }).format(new Date(iso)),
    skip: "Skip to the models",
    subtitle: "Ask the models that are live",
    api: "API",
    language: "Language",
    news: "What changed",
    dismiss: "Dismiss",
    waiting: "asking the server…",
    connected: "connected",
    gone: "no connection",
    locked: "key needed",
    goneLong: "The server doesn’t answer. The page goes on trying; what it shows is from before.",
    back: "The server answers again.",
    noLines: "No line is configured here, and none is live.",
    keyTitle: "This server asks for a key",
    keyAbout: "It is kept until this tab is closed.",
    keyWrong: "That was not the key. Try again.",
    keyLabel: "Key",
    keySend: "Use it",
    enterKey: "Enter the key",
    cancel: "Cancel",

    onStage: (stage) => `live in ${stage}`,
    workspace: "last build",
    never: "never deployed",
    neverDeployed: "Nothing of this line was ever deployed here: the last build of the workspace answers.",
    unanswered: "no answer",
    outOfStep: "not in step",
    accuracy: "Accuracy on its test set",
    interval: (low, high, n) => `95% interval ${share(low)} to ${share(high)}` + (n ? `, ${number(n)} test inputs` : ""),
    noAccuracy: "not known",
    since: (at) => `since ${time(at)}`,
    by: (who) => `by ${person(who)}`,
    problem: "Problem",
    wentLive: (line, stage, version, action) => `${line}: ${version} is live in ${stage} now` + (action === "rollback" ? " (rolled back)" : ""),
    rebuilt: (line) => `${line}: the workspace was built anew.`,
    wentAway: (line, stage) => `${line}: nothing is live in ${stage} any more.`,
    newProblem: (line, sentence) => `${line}: ${sentence}`,

    askedStage: "Stage that is asked",
    choose: "Choose photos",
    chooseOne: "Choose a photo",
    orDrop: "or drop them here",
    orDropOne: "or drop it here",
    camera: "Take a photo",
    from: (low, high) => `in training from ${number(low)} to ${number(high)}`,
    pick: "choose…",
    notGiven: "not given",
    send: "Ask",
    example: "Fill in an example",
    clear: "Clear the answers",
    answers: "Answers",
    row: (n) => `Row ${n}`,
    asking: "asking…",
    uncertain: "Uncertain",
    strange: "unlike anything this version was trained on",
    outside: (name, value, low, high) => `${name} is ${value}; training saw ${low} to ${high}`,
    gap: (name) => `${name} is empty; in training it never was`,
    close: (label, value, band, threshold) => `${label} ${value} is within ${band} of the threshold ${threshold}`,
    tied: (one, its, other, others, band) => `${one} ${its} and ${other} ${others} are within ${band} of each other`,
    leaning: (label, value) => `leans to ${label}, ${share(value)}`,
    positiveFrom: (label, threshold) => `It says ${label} from ${part(threshold)} on.`,
    givenBy: (version, stage, sha, ms) => `by ${version ?? "the last build of the workspace"} in ${stage} · ${sha}` + (ms === null ? "" : ` · ${number(ms, 0)} ms`),
    notLive: "no longer live",
    said: (name, said) => `${name}: ${said}`,
    more: (n) => `and ${number(n)} more`,
    noPreview: "no preview",

    heat: "What it looked at",
    heatHide: "Hide what it looked at",
    heatCaption: (label, most, where) => `Orange: hiding that part makes “${label}” less likely, by up to ${share(most)}, most of all ${text("places")[where]}.`,
    heatAgainst: (label, most) => `Blue: hiding it makes “${label}” more likely, by up to ${share(most)}.`,
    heatNothing: (label) => `Hiding any single part changes “${label}” by less than 1 %: the answer hangs on the whole.`,
    heatSquare: "Shown is the centred square of the photo: the model sees no more.",
    heatSwapped: "Another version went live meanwhile. Ask again.",
    places: ["at the top left", "at the top", "at the top right", "on the left", "in the middle", "on the right", "at the bottom left", "at the bottom", "at the bottom right"],

    inspect: "Inspect a culture",
    inspectAbout: (conditions, photo, low) => `The growing conditions are judged first (${conditions}). If the risk is not below ${part(low)}, the photo is looked at, too (${photo}). Doubt is an answer of its own.`,
    conditions: "Growing conditions",
    photoOptional: "Photo (optional)",
    noPhoto: "no photo chosen",
    remove: "Remove the photo",
    inspectSend: "Inspect",
    risk: "Risk by the conditions",
    why: "Why",
    spoke: "Models that spoke",
    photoWanted: "A photo would say more.",

    history: "History of deployments",
    noHistory: "Nothing was ever deployed.",
    deploy: "deployed",
    rollback: "rolled back",
    undeploy: "taken down",
    fromTo: (before, after) => `${before ?? "nothing"} → ${after ?? "nothing"}`,
    noReason: "no reason given",
    loading: "loading…",

    compare: "Two versions side by side",
    few: "There are fewer than two versions.",
    old: "Old",
    new: "New",
    compareSend: "Compare",
    metrics: "Metrics",
    metric: "Metric",
    settings: "Settings that differ",
    data: "Data",
    packages: "Packages",
    code: "Code",
    same: "the same",
    counts: { added: (n) => `${number(n)} added`, removed: (n) => `${number(n)} removed`, relabelled: (n) => `${number(n)} relabelled` },
    changed: (n, of) => `Answers: ${number(n)} of ${number(of)} common test inputs changed`,
    input: "Test input",
    truth: "True",
    verdict: "For the",
    better: "better",
    worse: "worse",
    neither: "still wrong",

    shadow: "Shadow’s disagreements",
    noShadow: "No stage is asked beside prod (shadow in conf/serving/).",
    shadowAbout: (stage, disagreed, compared) => `${stage} is asked beside prod: it disagreed on ${number(disagreed)} of ${number(compared)} inputs (${share(disagreed / compared)}).`,
    shadowAwaits: (stage) => `${stage} is asked beside prod; nothing was compared yet.`,
    when: "When",
  },

  fr: {
    percent: (value) => share(value),
    plain: (value) => number(value),
    ranged: (value, low, high) => `${number(value, 3)} (${number(low, 3)} – ${number(high, 3)})`,
    at: (iso) => time(iso),
    clock: (iso) => new Intl.DateTimeFormat(region(), { timeStyle: "short" }).format(new Date(iso)),
    skip: "Aller aux modèles",
    subtitle: "Interroger les modèles en service",
    api: "API",
    language: "Langue",
    news: "Ce qui a changé",
    dismiss: "Masquer",
    waiting: "interrogation du serveur…",
    connected: "connecté",
    gone: "connexion perdue",
    locked: "clé demandée",
    goneLong: "Le serveur ne répond pas. La page continue d’essayer ; ce qu’elle montre date d’avant.",
    back: "Le serveur répond de nouveau.",
    noLines: "Aucune ligne n’est configurée ici, et aucune n’est en service.",
    keyTitle: "Ce serveur demande une clé",
    keyAbout: "Elle est gardée jusqu’à la fermeture de cet onglet.",
    keyWrong: "Ce n’était pas la bonne clé. Réessayez.",
    keyLabel: "Clé",
    keySend: "Utiliser",
    enterKey: "Saisir la clé",
    cancel: "Annuler",

    onStage: (stage) => `en service sur ${stage}`,
    workspace: "dernière construction",
    never: "jamais déployée",
    neverDeployed: "Rien de cette ligne n’a jamais été déployé ici : la dernière construction locale répond.",
    unanswered: "sans réponse",
    outOfStep: "décalé",
    accuracy: "Exactitude sur son jeu de test",
    interval: (low, high, n) => `intervalle à 95 % : de ${share(low)} à ${share(high)}` + (n ? `, ${number(n)} entrées de test` : ""),
    noAccuracy: "inconnue",
    since: (at) => `depuis le ${time(at)}`,
    by: (who) => `par ${person(who)}`,
    problem: "Problème",
    wentLive: (line, stage, version, action) => `${line} : ${version} est maintenant en service sur ${stage}` + (action === "rollback" ? " (retour en arrière)" : ""),
    rebuilt: (line) => `${line} : la construction locale a été refaite.`,
    wentAway: (line, stage) => `${line} : plus rien n’est en service sur ${stage}.`,
    newProblem: (line, sentence) => `${line} : ${sentence}`,

    askedStage: "Étape interrogée",
    choose: "Choisir des photos",
    chooseOne: "Choisir une photo",
    orDrop: "ou les déposer ici",
    orDropOne: "ou la déposer ici",
    camera: "Prendre une photo",
    from: (low, high) => `à l’entraînement, de ${number(low)} à ${number(high)}`,
    pick: "choisir…",
    notGiven: "non renseigné",
    send: "Demander",
    example: "Remplir un exemple",
    clear: "Effacer les réponses",
    answers: "Réponses",
    row: (n) => `Saisie ${n}`,
    asking: "en cours…",
    uncertain: "Incertain",
    strange: "ne ressemble à rien de ce que cette version a vu à l’entraînement",
    outside: (name, value, low, high) => `${name} vaut ${value} ; l’entraînement a vu de ${low} à ${high}`,
    gap: (name) => `${name} est vide, ce qui n’arrivait jamais à l’entraînement`,
    close: (label, value, band, threshold) => `${label} ${value} est à moins de ${band} du seuil ${threshold}`,
    tied: (one, its, other, others, band) => `${one} ${its} et ${other} ${others} sont à moins de ${band} l’un de l’autre`,
    leaning: (label, value) => `penche vers ${label}, ${share(value)}`,
    positiveFrom: (label, threshold) => `La réponse est ${label} à partir de ${part(threshold)}.`,
    givenBy: (version, stage, sha, ms) => `par ${version ?? "la dernière construction locale"} sur ${stage} · ${sha}` + (ms === null ? "" : ` · ${number(ms, 0)} ms`),
    notLive: "plus en service",
    said: (name, said) => `${name} : ${said}`,
    more: (n) => `et ${number(n)} de plus`,
    noPreview: "pas d’aperçu",

    heat: "Ce qu’il a regardé",
    heatHide: "Masquer ce qu’il a regardé",
    heatCaption: (label, most, where) => `Orange : cacher cette partie rend « ${label} » moins probable, jusqu’à ${share(most)} de moins, surtout ${text("places")[where]}.`,
    heatAgainst: (label, most) => `Bleu : la cacher rend « ${label} » plus probable, jusqu’à ${share(most)} de plus.`,
    heatNothing: (label) => `Cacher une seule partie change « ${label} » de moins de 1 % : la réponse tient à l’ensemble.`,
    heatSquare: "On voit le carré central de la photo : le modèle n’en voit pas plus.",
    heatSwapped: "Une autre version est entrée en service entre-temps. Redemandez.",
    places: ["en haut à gauche", "en haut", "en haut à droite", "à gauche", "au milieu", "à droite", "en bas à gauche", "en bas", "en bas à droite"],

    inspect: "Inspecter une culture",
    inspectAbout: (conditions, photo, low) => `Les conditions de culture sont jugées d’abord (${conditions}). Si le risque n’est pas inférieur à ${part(low)}, la photo est regardée aussi (${photo}). Le doute est une réponse à part entière.`,
    conditions: "Conditions de culture",
    photoOptional: "Photo (facultative)",
    noPhoto: "aucune photo choisie",
    remove: "Retirer la photo",
    inspectSend: "Inspecter",
    risk: "Risque selon les conditions",
    why: "Pourquoi",
    spoke: "Modèles consultés",
    photoWanted: "Une photo en dirait plus.",

    history: "Historique des déploiements",
    noHistory: "Rien n’a jamais été déployé.",
    deploy: "déployé",
    rollback: "retour en arrière",
    undeploy: "retiré",
    fromTo: (before, after) => `${before ?? "rien"} → ${after ?? "rien"}`,
    noReason: "aucune raison donnée",
    loading: "chargement…",

    compare: "Deux versions côte à côte",
    few: "Il y a moins de deux versions.",
    old: "Ancienne",
    new: "Nouvelle",
    compareSend: "Comparer",
    metrics: "Mesures",
    metric: "Mesure",
    settings: "Réglages différents",
    data: "Données",
    packages: "Paquets",
    code: "Code",
    same: "identiques",
    counts: { added: (n) => `${number(n)} de plus`, removed: (n) => `${number(n)} de moins`, relabelled: (n) => `${number(n)} réétiquetées` },
    changed: (n, of) => `Réponses : ${number(n)} des ${number(of)} entrées de test communes ont changé`,
    input: "Entrée de test",
    truth: "Vrai",
    verdict: "En",
    better: "mieux",
    worse: "moins bien",
    neither: "toujours faux",

    shadow: "Désaccords de l’ombre",
    noShadow: "Aucune étape n’est interrogée à côté de prod (shadow dans conf/serving/).",
    shadowAbout: (stage, disagreed, compared) => `${stage} est interrogé à côté de prod : désaccord sur ${number(disagreed)} entrées sur ${number(compared)}` + (compared ? ` (${share(disagreed / compared)}).` : "."),
    shadowAwaits: (stage) => `${stage} est interrogé à côté de prod ; rien n’a encore été comparé.`,
    when: "Quand",
  },
};

export const LANGUAGES = Object.keys(TEXTS);

let current = chosen();

export const language = () => current;

/** How numbers and times are written: as in the country that the browser names, where it speaks the language. */
const region = () => (navigator.languages ?? []).find((each) => each.slice(0, 2).toLowerCase() === current) ?? current;

/** Take another language, and remember it. */
export function choose(other) {
  current = other;
  try {
    localStorage.setItem(KEPT, other);
  } catch { /* a browser that keeps nothing */ }
}

/** The text of a key, made of what was given. */
export function text(key, ...given) {
  const found = key.split(".").reduce((inner, part) => inner?.[part], TEXTS[current]);
  return spaced(typeof found === "function" ? found(...given) : found ?? key);
}

/** French has spaces before some signs, at which no line may break. */
function spaced(said) {
  return current === "fr" && typeof said === "string" ? said.replace(/ (?=[:;?!»%])|(?<=«) /g, "\u00a0") : said;
}

/** 0.9312 -> 93.1%; what is not quite nothing or all doesn't become it. */
export function share(value) {
  if (value > 0 && value < 0.001) return `< ${part(0.001, 1)}`;
  if (value < 1 && value > 0.999) return `> ${part(0.999, 1)}`;
  return part(value, 1);
}

/** 0.3 -> 30%, what people have set. */
function part(value, digits = 0) {
  return new Intl.NumberFormat(region(), { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: 1 }).format(value);
}

export function number(value, digits = 4) {
  return new Intl.NumberFormat(region(), { maximumFractionDigits: digits }).format(value);
}

export function time(iso) {
  return new Intl.DateTimeFormat(region(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
}

/** `Ada <ada@example.org>` -> Ada */
const person = (who) => who.replace(/ <[^>]*>$/, "");

function chosen() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch { /* as above */ }
  const wanted = [kept, ...(navigator.languages ?? [])].filter(Boolean).map((each) => each.slice(0, 2).toLowerCase());
  return wanted.find((each) => LANGUAGES.includes(each)) ?? "en";
}

/** The texts that one language has and another lacks. */
export function missing() {
  const keys = (inner, before = "") => Object.entries(inner).flatMap(([key, value]) => (value?.constructor === Object ? keys(value, `${before}${key}.`) : [before + key]));
  const all = Object.values(TEXTS).map((each) => keys(each));
  return [...new Set(all.flat())].filter((key) => !all.every((each) => each.includes(key)));
}
