package envconfig

import (
	"errors"
	"reflect"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/muster-agent/muster/adapters/internal/redact"
	"github.com/muster-agent/muster/ports"
)

// variables is the table of all variables, with the defaults that depend on
// nothing (setDefaults has the others, and Source the delays). Each field is a bool or reads its own
// text, so that no error of the parser repeats a value.
type variables struct {
	ServerURL           serverURL     `env:"MUSTER_SERVER_URL"`
	SiteCode            line          `env:"MUSTER_SITE_CODE"`
	EnrollmentKey       enrollmentKey `env:"MUSTER_ENROLLMENT_KEY"`
	EnrollmentKeyFile   filePath      `env:"MUSTER_ENROLLMENT_KEY_FILE"`
	ForgetEnrollmentKey bool          `env:"MUSTER_FORGET_ENROLLMENT_KEY" envDefault:"false"`
	ReenrollAfter       patience      `env:"MUSTER_REENROLL_AFTER" envDefault:"24h"`
	MachineUID          machineUID    `env:"MUSTER_MACHINE_UID"`
	APIKey              sharedKey     `env:"MUSTER_API_KEY"`
	APIKeyFile          filePath      `env:"MUSTER_API_KEY_FILE"`
	LabelCompany        line          `env:"MUSTER_LABEL_COMPANY"`
	LabelSite           line          `env:"MUSTER_LABEL_SITE"`
	LabelDepartment     line          `env:"MUSTER_LABEL_DEPARTMENT"`
	LabelDeviceType     line          `env:"MUSTER_LABEL_DEVICE_TYPE"`
	LabelTags           tags          `env:"MUSTER_LABEL_TAGS"`
	AgentID             agentID       `env:"MUSTER_AGENT_ID"`

	RelayURL  relayURL  `env:"MUSTER_RELAY_URL"`
	RelayAuth relayAuth `env:"MUSTER_RELAY_AUTH" envDefault:"query"`

	ManagerURL       serverURL `env:"MUSTER_MANAGER_URL"`
	PollingInterval  interval  `env:"MUSTER_POLLING_INTERVAL" envDefault:"60s"`
	MaxPollAttempts  polls     `env:"MUSTER_MAX_POLL_ATTEMPTS" envDefault:"1440"`
	RenewalThreshold days      `env:"MUSTER_CERT_RENEWAL_THRESHOLD_DAYS" envDefault:"7"`
	CACert           filePath  `env:"MUSTER_CA_CERT"`
	ServerCert       filePath  `env:"MUSTER_SERVER_CERT"`
	ServerKey        filePath  `env:"MUSTER_SERVER_KEY"`
	CRL              filePath  `env:"MUSTER_CRL"`
	ReportIP         ipAddress `env:"MUSTER_REPORT_IP"`
	ReportInterface  line      `env:"MUSTER_REPORT_INTERFACE"`
	ListenAddr       listener  `env:"MUSTER_LISTEN_ADDR" envDefault:":12443"`

	TrustCAFile     filePath `env:"MUSTER_TRUST_CA_FILE"`
	TrustPins       pins     `env:"MUSTER_TRUST_SPKI_SHA256"`
	ManagerCAFile   filePath `env:"MUSTER_MANAGER_TRUST_CA_FILE"`
	ManagerPins     pins     `env:"MUSTER_MANAGER_TRUST_SPKI_SHA256"`
	HTTPSProxy      proxyURL `env:"HTTPS_PROXY"`
	HTTPProxy       proxyURL `env:"HTTP_PROXY"`
	NoProxy         line     `env:"NO_PROXY"`
	StateDir        filePath `env:"MUSTER_STATE_DIR"`
	MetricsAddr     hostPort `env:"MUSTER_METRICS_ADDR"`
	LogLevel        level    `env:"MUSTER_LOG_LEVEL" envDefault:"info"`
	LogFormat       format   `env:"MUSTER_LOG_FORMAT" envDefault:"text"`
	TransientMin    delay    `env:"MUSTER_TRANSIENT_MIN"`
	TransientMax    delay    `env:"MUSTER_TRANSIENT_MAX"`
	PendingMin      delay    `env:"MUSTER_PENDING_MIN"`
	PendingMax      delay    `env:"MUSTER_PENDING_MAX"`
	OperatorMin     delay    `env:"MUSTER_OPERATOR_MIN"`
	OperatorMax     delay    `env:"MUSTER_OPERATOR_MAX"`
	DevInsecureTLS  bool     `env:"MUSTER_DEV_INSECURE_TLS" envDefault:"false"`
	DevInsecureHTTP bool     `env:"MUSTER_DEV_INSECURE_HTTP" envDefault:"false"`
}

// variableNames is every name in the table.
func variableNames() []string {
	table := reflect.TypeFor[variables]()
	names := make([]string, table.NumField())
	for i := range names {
		names[i] = table.Field(i).Tag.Get("env")
	}
	return names
}

func proxyVariables() []string { return []string{"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"} }

// parse turns the settings in force into values of their types.
func (l *loader) parse() (v variables, values []Value) {
	texts := make(map[string]string, len(l.effective)) // nil would mean this process's environment
	for name, s := range l.effective {
		texts[name] = s.text
	}
	err := env.ParseWithOptions(&v, env.Options{
		Environment: texts,
		OnSet: func(name string, value any, isDefault bool) {
			values = append(values, l.value(name, value.(string), isDefault))
		},
	})
	var all env.AggregateError
	if errors.As(err, &all) {
		for _, err := range all.Errors {
			l.misparsed(err)
		}
	} else if err != nil {
		l.misparsed(err)
	}
	return v, values
}

// misparsed reports one error of the parser.
func (l *loader) misparsed(err error) {
	var parse env.ParseError
	if !errors.As(err, &parse) {
		l.problem("the table of variables", "%T; this is an error in the program, please report it", err)
		return
	}
	field, _ := reflect.TypeFor[variables]().FieldByName(parse.Name) // the parser names fields of this struct only
	name := field.Tag.Get("env")
	if l.effective[name].from == FromDefault && name != stateDirVariable {
		return // taken from another variable, about which the same is said
	}
	l.refused[name] = true
	if parse.Type.Kind() == reflect.Bool {
		l.bad(name, "%s is neither true nor false", quote(l.effective[name].text))
		return
	}
	l.bad(name, "%v", parse.Err)
}

// value is one line of Config.Values.
func (l *loader) value(name, text string, isDefault bool) Value {
	v := Value{Name: name, Value: text, From: l.effective[name].from}
	switch {
	case isDefault:
		v.From = FromDefault
	case text == "":
		v.From = FromUnset
	case isSecret(name) || l.hidden[name]:
		v.Value = redact.Mark
	case name == "HTTPS_PROXY" || name == "HTTP_PROXY":
		v.Value = redactProxy(text)
	default:
		v.Value = withoutSecrets(text)
	}
	return v
}

func (v variables) settings(l *loader) ports.Settings {
	return ports.Settings{
		ServerURL:           v.ServerURL.url,
		SiteCode:            string(v.SiteCode),
		EnrollmentKey:       v.EnrollmentKey.secret,
		EnrollmentKeyFile:   l.enrollmentKeyFile,
		ForgetEnrollmentKey: v.ForgetEnrollmentKey,
		ReenrollAfter:       time.Duration(v.ReenrollAfter),
		MachineUID:          string(v.MachineUID),
		APIKey:              v.APIKey.secret,
		Labels: ports.Labels{
			Company:    string(v.LabelCompany),
			Site:       string(v.LabelSite),
			Department: string(v.LabelDepartment),
			DeviceType: string(v.LabelDeviceType),
			Tags:       v.LabelTags,
		},
		AgentID: string(v.AgentID),

		RelayURL:        v.RelayURL.url,
		RelayAuthHeader: v.RelayAuth == "header",

		ManagerURL:             v.ManagerURL.url,
		PollingInterval:        time.Duration(v.PollingInterval),
		MaxPollAttempts:        int(v.MaxPollAttempts),
		RenewalThreshold:       time.Duration(v.RenewalThreshold) * 24 * time.Hour,
		CACertFile:             string(v.CACert),
		ServerCertFile:         string(v.ServerCert),
		ServerKeyFile:          string(v.ServerKey),
		CRLFile:                string(v.CRL),
		ReportIP:               string(v.ReportIP),
		ReportInterface:        string(v.ReportInterface),
		ListenAddr:             string(v.ListenAddr),
		ManagerTrustCAFile:     string(v.ManagerCAFile),
		ManagerTrustSPKISHA256: v.ManagerPins,

		TrustCAFile:     string(v.TrustCAFile),
		TrustSPKISHA256: v.TrustPins,
		Proxy: ports.ProxySettings{
			HTTPS: v.HTTPSProxy.secret,
			HTTP:  v.HTTPProxy.secret,
			No:    string(v.NoProxy),
		},

		StateDir:    string(v.StateDir),
		MetricsAddr: string(v.MetricsAddr),
		LogLevel:    string(v.LogLevel),
		LogFormat:   string(v.LogFormat),
		Delays: ports.DelayPolicy{
			Transient: ports.Delays{Min: time.Duration(v.TransientMin), Max: time.Duration(v.TransientMax)},
			Pending:   ports.Delays{Min: time.Duration(v.PendingMin), Max: time.Duration(v.PendingMax)},
			Operator:  ports.Delays{Min: time.Duration(v.OperatorMin), Max: time.Duration(v.OperatorMax)},
		},

		DevInsecureTLS:  v.DevInsecureTLS,
		DevInsecureHTTP: v.DevInsecureHTTP,
	}
}
