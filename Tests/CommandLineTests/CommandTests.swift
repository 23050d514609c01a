import DPONNX
import Foundation
import FoundationXML
import Testing

/// What the commands print and write when all is well.
@Suite struct CommandTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func everyCommandHasHelpWithAnExample() throws {
        for command in [
            "check", "run", "gradients", "verify", "train", "evaluate", "inspect", "account", "audit", "report",
            "bench",
        ] {
            let run = try CommandRun(command, "--help")
            #expect(run.status == 0)
            #expect(run.output.contains("Example: dponnx \(command) "))
        }
    }

    @Test func accountsBothWays() throws {
        let given = ["account", "--sampling-rate", "0.01", "--steps", "120", "--delta", "1e-5", "--json"]
        let forward = try #require(try CommandRun(given + ["--noise-multiplier", "0.7"]).json)
        let epsilon = try #require((forward["rdp"] as? [String: Any])?["epsilon"] as? Double)
        // Google's dp-accounting gives 3.2393.
        #expect(abs(epsilon - 3.2393) < 1e-3)
        let pld = try #require(forward["pld"] as? [String: Any])
        let (upper, lower) = try (#require(pld["epsilon"] as? Double), #require(pld["epsilon_lower"] as? Double))
        #expect(lower <= 2.46124 && upper >= 2.46123 && upper - lower < 1e-3 * upper)
        let gdp = try #require(forward["gdp"] as? [String: Any])
        #expect(gdp["upper_bound"] as? Bool == false)
        for (accountant, epsilon) in [("pld", upper), ("rdp", epsilon)] {
            let arguments = given + ["--epsilon", "\(epsilon)", "--accountant", accountant]
            let backward = try #require(try CommandRun(arguments).json)
            #expect(abs((backward["noise_multiplier"] as! Double) - 0.7) < 2e-4)
        }
    }

    @Test func drawsTheCurvesBehindAGuarantee() throws {
        let plot = folder.file("curves.svg")
        let run = try CommandRun(
            "account", "--sampling-rate", "0.01", "--noise-multiplier", "1", "--steps", "100", "--delta", "1e-5",
            "--plot", plot)
        #expect(run.status == 0, "\(run.errors)")
        let picture = try String(contentsOfFile: plot, encoding: .utf8)
        let document = try XMLDocument(xmlString: picture)
        #expect(document.rootElement()?.name == "svg")
        for label in ["epsilon over delta", "delta", "1e-8", "type I error", "type II error"] {
            #expect(picture.contains(label), "\(label)")
        }
        #expect(!picture.contains("nan") && !picture.contains("inf"))
    }

    @Test func writesOutputsByName() throws {
        let output = folder.file("outputs.npz")
        let run = try CommandRun("run", Samples.model("bert"), "--data", Samples.data("bert"), "--output", output)
        #expect(run.status == 0)
        let file = try ArrayFile(path: output)
        #expect(file.keys == ["logits"])
        #expect(try file.array("logits").shape == [5, 3])
    }

    @Test func verifiesAndWritesPages() throws {
        let arguments = ["verify", Samples.model("lenet"), "--data", Samples.data("lenet"), "--samples", "3", "--json"]
        let run = try CommandRun(arguments)
        #expect(run.status == 0)
        let report = try #require(run.json)
        #expect(report["passed"] as? Bool == true && report["samples"] as? Int == 3)
        #expect((report["comparisons"] as? [[String: Any]])?.count == 8)
        let page = folder.file("page.html")
        #expect(try CommandRun("check", Samples.model("lenet"), "--html", page).status == 0)
        #expect(try String(contentsOfFile: page, encoding: .utf8).hasSuffix("</html>\n"))
    }

    @Test func gradientsHaveTheStatedKeys() throws {
        let output = folder.file("gradients.npz")
        let arguments = ["gradients", Samples.model("lenet"), "--data", Samples.data("lenet"), "--output", output]
        let flat = try CommandRun(arguments)
        #expect(flat.errors.contains("NOT PRIVATE"))
        var file = try ArrayFile(path: output)
        #expect(file.keys.prefix(3) == ["loss", "norms", "factors"])
        #expect(file.keys.contains("grad/0.weight"))
        #expect(try file.array("factors").shape == [5])
        _ = try CommandRun(
            arguments + ["--clipping-style", "layer-wise", "--trainable", "last-layer", "--trainable", "0.*"])
        file = try ArrayFile(path: output)
        #expect(try file.array("factors").shape == [5, 2])
        #expect(file.keys.count == 7)
    }

    @Test func trainsAdapters() throws {
        let arguments = [
            "train", Samples.model("bert_torchscript"), "--data", Samples.data("bert_torchscript"),
            "--noise-multiplier", "1", "--delta", "1e-2", "--dataset-size", "5", "--batch-size", "3", "--steps", "2",
        ]
        for (option, count) in [(nil, 0), ("--keep-adapter", 3)] as [(String?, Int)] {
            let output = folder.file("adapted.onnx")
            let train = try CommandRun(
                arguments + ["--adapter", "lora:rank=2,alpha=4:*pooler*", "--output", output]
                    + (option.map { [$0] } ?? []))
            #expect(train.status == 0, "\(train.errors)")
            let file = try ONNXModel(path: output)
            #expect(file.graph.initializers.count { $0.name.contains(".lora_") } == count)
        }
        let output = ["--output", folder.file("none.onnx")]
        #expect(try CommandRun(arguments + output + ["--keep-adapter"]).status == 64)
        #expect(try CommandRun(arguments + output + ["--adapter", "lora:rank=0"]).status == 64)
        #expect(try CommandRun(arguments + output + ["--adapter", "lora:rank=2:no.such"]).status == 64)
    }

    @Test func trainsEvaluatesAndInspects() throws {
        let output = folder.file("private.onnx")
        let before = try Data(contentsOf: URL(fileURLWithPath: Samples.model("mlp")))
        let train = try CommandRun(
            "train", Samples.model("mlp"), "--data", Samples.data("mlp"), "--epsilon", "3", "--delta", "1e-5",
            "--dataset-size", "5", "--batch-size", "2", "--steps", "12", "--optimizer", "adamw", "--schedule", "cosine",
            "--warmup-steps", "2", "--ema", "0.9", "--output", output, "--json")
        #expect(train.status == 0, "\(train.errors)")
        let report = try #require(train.json)
        #expect(report["is_private"] as? Bool == true)
        let epsilon = try #require(report["epsilon"] as? Double)
        #expect(epsilon <= 3 && epsilon > 2.99)
        // Piped progress comes as plain lines that end with the last step.
        #expect(train.errors.contains("step 12/12"))
        #expect(!train.errors.contains("\u{1B}"))
        #expect(try Data(contentsOf: URL(fileURLWithPath: Samples.model("mlp"))) == before)

        let evaluate = try CommandRun("evaluate", output, "--data", Samples.data("mlp"), "--json")
        #expect(evaluate.json?["samples"] as? Int == 5)
        #expect(evaluate.json?["accuracy"] is Double)

        let inspect = try CommandRun("inspect", output, "--json")
        let privacy = try #require(inspect.json?["privacy"] as? [String: Any])
        #expect(privacy["is_private"] as? Bool == true)
        #expect(privacy["is_consistent"] as? Bool == true)
        #expect(privacy["epsilon"] as? Double == epsilon)
        #expect(try CommandRun("inspect", output).output.contains("private: epsilon 3.0"))
    }

    @Test func aSeedIsStampedNotPrivate() throws {
        let output = folder.file("seeded.onnx")
        let train = try CommandRun(
            "train", Samples.model("mlp"), "--data", Samples.data("mlp"), "--noise-multiplier", "1", "--delta", "1e-5",
            "--batch-size", "2", "--steps", "2", "--seed", "1", "--output", output)
        #expect(train.output.contains("NOT PRIVATE"))
        // N was counted from the file, and the run says so.
        #expect(train.errors.contains("--dataset-size"))
        #expect(try CommandRun("inspect", output).output.contains("NOT PRIVATE"))
    }

    /// A negative axis counts from the end and is written as two arguments, as any other value.
    @Test func aClassAxisMayBeNegative() throws {
        let run = try CommandRun("evaluate", Samples.model("mlp"), "--data", Samples.data("mlp"), "--class-axis", "-1")
        #expect(run.status == 0, "\(run.errors)")
        let other = try CommandRun(
            "evaluate", Samples.model("mlp"), "--data", Samples.data("mlp"), "--class-axis", "-2")
        #expect(other.status == 65 && other.errors.contains("has no class axis -2"), "\(other.errors)")
    }
}
