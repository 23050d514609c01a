import ArgumentParser
import DPONNX
import Glibc

/// Exit statuses of the command line (sysexits.h).
enum ExitStatus: Int32 {
    case checkFailed = 1
    case usage = 64
    case badInput = 65
    case missingInput = 66
    case unsupported = 69
    case internalError = 70
    case cannotCreate = 73
    case inputOutput = 74

    init(_ error: any Error) {
        self =
            switch error {
            case let error as ONNXFormatError: Self(error)
            case let error as GraphError: error.kind == .unsupported ? .unsupported : .badInput
            case let error as DataError: Self(error)
            case is UsageError, is SelectionError: .usage
            case is PrivacyStatementError: .badInput
            default: .internalError
            }
    }

    private init(_ error: ONNXFormatError) {
        self =
            switch error.kind {
            case .missing: .missingInput
            case .unreadable, .writeFailed: .inputOutput
            case .malformed, .unsupportedType, .externalData: .badInput
            case .cannotCreate: .cannotCreate
            case .invalidEdit: .internalError
            }
    }

    private init(_ error: DataError) {
        self =
            switch error.kind {
            case .missingInput: .missingInput
            case .malformed, .unsupported, .mismatch: .badInput
            case .cannotCreate: .cannotCreate
            case .inputOutput: .inputOutput
            }
    }
}

/// Runs a command's work; an error becomes one line on standard error and its exit status.
func reportingFailures(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch let error as ExitCode {
        throw error
    } catch let error as ValidationError {
        throw error
    } catch {
        writeError("error: \(oneLine("\(error)"))")
        throw ExitCode(ExitStatus(error).rawValue)
    }
}

/// Something the user should know that does not stop the work.
func note(_ message: String) { writeError("note: \(oneLine(message))") }
func warn(_ message: String) { writeError("warning: \(oneLine(message))") }

func writeError(_ line: String) { writeRaw(line + "\n") }

/// Writes to standard error as it is.
func writeRaw(_ text: String) {
    var text = text
    text.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// Names in a model may hold anything; what is printed stays one line and moves no cursor.
func oneLine(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : $0 }))
}
